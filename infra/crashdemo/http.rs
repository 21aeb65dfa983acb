//! As much HTTP as the program needs: two requests, answered in a line.

use super::workflow::{Journal, Options, Trouble, Urls, go_on};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// The longest request.
const LONGEST: usize = 8 * 1024;

struct Server {
    journal: Journal,
    urls: Urls,
    options: Options,
    /// A workflow that can't go on ends the program.
    ended: mpsc::UnboundedSender<Trouble>,
}

/// Takes up what is unfinished, then answers requests, until something breaks.
pub async fn serve(port: u16, urls: Urls, options: Options) -> Result<(), Trouble> {
    let (ended, mut broken) = mpsc::unbounded_channel();
    let journal = Journal::open(&urls).await?;
    let unfinished = journal.unfinished().await?;
    let server = Arc::new(Server { journal, urls, options, ended });
    for id in unfinished {
        println!("{id}: taken up again");
        server.start(id);
    }
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!("listening on port {port}");
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted?;
                let server = Arc::clone(&server);
                tokio::spawn(async move {
                    if let Err(trouble) = server.answer(stream).await {
                        eprintln!("a request failed: {trouble}");
                    }
                });
            }
            Some(trouble) = broken.recv() => return Err(trouble),
        }
    }
}

impl Server {
    fn start(self: &Arc<Self>, id: String) {
        let server = Arc::clone(self);
        tokio::spawn(async move {
            if let Err(trouble) = go_on(&id, &server.urls, server.options).await {
                // Nobody listens any more only if the program ends already.
                let _ = server.ended.send(format!("{id}: {trouble}").into());
            }
        });
    }

    async fn answer(self: &Arc<Self>, mut stream: TcpStream) -> Result<(), Trouble> {
        // Whoever only looks whether the port is open asks nothing.
        let Some(head) = head(&mut stream).await? else { return Ok(()) };
        let mut words = head.split(' ');
        let (status, body) = match (words.next(), words.next()) {
            (Some("GET"), Some("/health")) => ("200 OK", "up"),
            (Some(method), Some(path)) => match (method, path.strip_prefix("/workflows/")) {
                ("POST", Some(id)) if is_id(id) => match self.journal.begin(id).await? {
                    true => {
                        self.start(id.to_owned());
                        ("202 Accepted", "begun")
                    }
                    false => ("200 OK", "is on record"),
                },
                ("GET", Some(id)) if is_id(id) => match self.journal.status(id).await? {
                    Some(status) => ("200 OK", status),
                    None => ("404 Not Found", "no such workflow"),
                },
                _ => ("400 Bad Request", "what is that?"),
            },
            _ => ("400 Bad Request", "what is that?"),
        };
        let length = body.len();
        let all = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
        stream.write_all(all.as_bytes()).await?;
        Ok(stream.shutdown().await?)
    }
}

fn is_id(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// The first line of a request, whose head is read to its end; none where nothing is asked.
async fn head(stream: &mut TcpStream) -> Result<Option<String>, Trouble> {
    let mut read = Vec::new();
    while !read.windows(4).any(|end| end == b"\r\n\r\n") {
        if read.len() > LONGEST {
            return Err("the request is too long".into());
        }
        if stream.read_buf(&mut read).await? == 0 {
            if read.is_empty() {
                return Ok(None);
            }
            return Err("the request ends in the middle".into());
        }
    }
    Ok(Some(String::from_utf8_lossy(&read).lines().next().unwrap_or_default().to_owned()))
}

/// Asks the server about a workflow: what it answers, if that is good news.
pub async fn ask(port: u16, method: &str, id: &str) -> Result<String, Trouble> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let request = format!("{method} /workflows/{id} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("the answer ends in the middle")?;
    match head.strip_prefix("HTTP/1.1 2") {
        Some(_) => Ok(body.to_owned()),
        None => Err(format!("{method} {id}: {}: {body}", head.lines().next().unwrap_or_default()).into()),
    }
}
