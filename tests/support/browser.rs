//! A headless browser, driven over the pipe that its DevTools protocol has: no port, no library.

use nix::sys::stat::Mode;
use serde_json::{Value, json};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// Names under which Chromium is installed.
const NAMES: [&str; 6] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];

/// Shell: `$0` is the browser; its commands and answers go through two named pipes.
const START: &str = "exec \"$0\" \"$@\" 3<commands 4>answers";

/// A page in a headless browser.
pub struct Browser {
    process: Child,
    commands: File,
    answers: BufReader<File>,
    session: Option<String>,
    last: u64,
    /// Whatever happened that was not an answer: (method, parameters).
    pub events: Vec<(String, Value)>,
    _folder: TempDir,
}

fn find() -> String {
    if let Ok(named) = std::env::var("WEIR_TEST_BROWSER") {
        return named;
    }
    let found = NAMES.into_iter().find(|name| which::which(name).is_ok());
    found.map(str::to_owned).unwrap_or_else(|| {
        panic!(
            "this test needs a Chromium, and none is found\n\
             help: `apt-get install -y chromium`, or name one in WEIR_TEST_BROWSER"
        )
    })
}

impl Browser {
    /// Starts one and opens a file in it.
    pub fn open(page: &Path) -> Self {
        let folder = tempfile::Builder::new().prefix("weir-browser-").tempdir().unwrap();
        for pipe in ["commands", "answers"] {
            nix::unistd::mkfifo(&folder.path().join(pipe), Mode::S_IRWXU).unwrap();
        }
        let arguments = [
            "--headless=new",
            "--remote-debugging-pipe",
            "--no-first-run",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--disable-component-update",
            "--window-size=1300,800",
            // It needs a user that is not root, and namespaces that containers forbid; and the page is ours.
            "--no-sandbox",
        ];
        let process = Command::new("sh")
            .args(["-c", START, &find()])
            .args(arguments)
            .arg(format!("--user-data-dir={}", folder.path().join("profile").display()))
            .current_dir(folder.path())
            .env("HOME", folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(folder.path().join("err")).unwrap())
            .spawn()
            .unwrap();
        // Each waits for the shell to open the other end.
        let commands = OpenOptions::new().write(true).open(folder.path().join("commands")).unwrap();
        let answers = BufReader::new(File::open(folder.path().join("answers")).unwrap());
        let mut browser = Self { process, commands, answers, session: None, last: 0, events: vec![], _folder: folder };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = browser.call("Target.attachToTarget", attach);
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Network", "Runtime", "Log"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser.call("Page.navigate", json!({ "url": format!("file://{}", page.display()) }));
        browser.wait_for("document.readyState === 'complete' && location.protocol === 'file:'");
        browser
    }

    /// A command of the protocol; its result.
    pub fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.last += 1;
        let mut message = json!({ "id": self.last, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        let mut bytes = serde_json::to_vec(&message).unwrap();
        bytes.push(0);
        let written = self.commands.write_all(&bytes);
        assert!(written.is_ok(), "the browser does not start, or has ended: {}", self.said());
        loop {
            let mut answer = Vec::new();
            self.answers.read_until(0, &mut answer).unwrap();
            assert_eq!(answer.pop(), Some(0), "the browser has ended: {}", self.said());
            let answer: Value = serde_json::from_slice(&answer).unwrap();
            if answer["id"] == self.last {
                assert!(answer.get("error").is_none(), "{method}: {answer}");
                return answer["result"].clone();
            }
            let method = answer["method"].as_str().unwrap_or_default().to_owned();
            self.events.push((method, answer["params"].clone()));
        }
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self._folder.path().join("err")).unwrap_or_default()
    }

    /// The value of an expression in the page.
    pub fn eval(&mut self, expression: &str) -> Value {
        let asked = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let answer = self.call("Runtime.evaluate", asked);
        assert!(answer.get("exceptionDetails").is_none(), "{expression}: {answer}");
        answer["result"]["value"].clone()
    }

    /// The text of an element.
    pub fn text(&mut self, selector: &str) -> String {
        let text = self.eval(&format!("document.querySelector({selector:?})?.innerText ?? ''"));
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Looks again and again until an expression is true.
    pub fn wait_for(&mut self, expression: &str) {
        crate::support::wait_until(expression, || self.eval(&format!("!!({expression})")) == json!(true));
    }

    /// The middle of an element on the screen.
    pub fn middle(&mut self, selector: &str) -> (f64, f64) {
        let script = format!(
            "(() => {{ const b = document.querySelector({selector:?}).getBoundingClientRect(); \
             return [b.x + b.width / 2, b.y + b.height / 2]; }})()"
        );
        let at = self.eval(&script);
        (at[0].as_f64().unwrap(), at[1].as_f64().unwrap())
    }

    /// A real event of the mouse.
    pub fn mouse(&mut self, kind: &str, (x, y): (f64, f64), more: Value) {
        let mut event = json!({ "type": kind, "x": x, "y": y, "button": "left", "clickCount": 1 });
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.call("Input.dispatchMouseEvent", event);
    }

    /// Clicks on the middle of an element.
    pub fn click(&mut self, selector: &str) {
        let at = self.middle(selector);
        self.mouse("mousePressed", at, json!({}));
        self.mouse("mouseReleased", at, json!({}));
    }

    /// Presses a key: `a`, `+`, `Enter`, `Escape`, `Tab`.
    pub fn press(&mut self, key: &str) {
        let mut event = json!({ "type": "keyDown", "key": key });
        match key {
            "Enter" => event["text"] = json!("\r"),
            key if key.chars().count() == 1 => event["text"] = json!(key),
            _ => {}
        }
        let codes = [("Tab", 9), ("Enter", 13), ("Escape", 27), ("ArrowDown", 40)];
        if let Some((_, code)) = codes.iter().find(|(name, _)| *name == key) {
            event["windowsVirtualKeyCode"] = json!(code);
        }
        self.call("Input.dispatchKeyEvent", event.clone());
        event["type"] = json!("keyUp");
        event.as_object_mut().unwrap().remove("text");
        self.call("Input.dispatchKeyEvent", event);
    }

    /// What it asked of any network, and what the page complained of.
    pub fn complaints(&mut self) -> Vec<String> {
        self.eval("1");
        let events = self.events.iter();
        let foreign = events.filter_map(|(method, event)| match method.as_str() {
            "Network.requestWillBeSent" => {
                let url = event["request"]["url"].as_str().unwrap_or_default();
                (!url.starts_with("file:") && !url.starts_with("data:")).then(|| format!("it asked for {url}"))
            }
            "Runtime.exceptionThrown" | "Log.entryAdded" => Some(event.to_string()),
            _ => None,
        });
        foreign.collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It ends when its pipe does, and this makes sure.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
