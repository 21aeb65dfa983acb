//! Who listens on a port of this machine, as far as the system tells.

use std::collections::BTreeSet;
use std::path::Path;

/// `pid 4711 (python3)`; none where it can't be seen: another user's process, another system.
pub(super) fn who(port: u16) -> Option<String> {
    let sockets = listening(port);
    if sockets.is_empty() {
        return None;
    }
    let entries = std::fs::read_dir("/proc").ok()?.flatten();
    entries.filter(|entry| entry.file_name().to_str().is_some_and(|name| name.parse::<u32>().is_ok())).find_map(
        |entry| {
            let process = entry.path();
            let holds = std::fs::read_dir(process.join("fd")).ok()?.flatten().any(|fd| {
                let target = std::fs::read_link(fd.path()).ok();
                let socket = target.as_deref().and_then(Path::to_str).and_then(socket_of);
                socket.is_some_and(|socket| sockets.contains(&socket))
            });
            let name = std::fs::read_to_string(process.join("comm")).unwrap_or_default();
            holds.then(|| format!("pid {} ({})", entry.file_name().to_string_lossy(), name.trim()))
        },
    )
}

/// `socket:[4711]`.
fn socket_of(link: &str) -> Option<u64> {
    link.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

/// The sockets that listen on a port, of both kinds of addresses.
fn listening(port: u16) -> BTreeSet<u64> {
    let read = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
    ["/proc/net/tcp", "/proc/net/tcp6"].iter().flat_map(|file| sockets(&read(file), port)).collect()
}

/// `proc_net_tcp(5)`: `sl local_address rem_address st … uid timeout inode`; 0A: it listens.
fn sockets(table: &str, port: u16) -> Vec<u64> {
    let wanted = format!(":{port:04X}");
    let fields = table.lines().skip(1).map(|line| line.split_ascii_whitespace().collect::<Vec<_>>());
    fields
        .filter(|fields| fields.len() > 9 && fields[1].ends_with(&wanted) && fields[3] == "0A")
        .filter_map(|fields| fields[9].parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_sockets_is_read() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   0: 0100007F:0BB8 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0 100 0 0 10 0\n   1: 0100007F:0BB8 0100007F:9999 01 00000000:00000000 00:00000000 00000000  1000        0 4712 1 0 100 0 0 10 0\n";
        assert_eq!(sockets(table, 3000), [4711]);
        assert_eq!(sockets(table, 300), Vec::<u64>::new());
        assert_eq!(sockets("nothing\nof the kind", 300), Vec::<u64>::new());
    }

    #[test]
    fn this_process_is_found_where_the_system_tells() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let found = who(socket.local_addr().unwrap().port());
        if cfg!(target_os = "linux") {
            assert!(found.unwrap().starts_with(&format!("pid {} (", std::process::id())));
        }
    }
}
