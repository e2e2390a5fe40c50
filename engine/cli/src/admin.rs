//! How a run is asked from outside: the socket in its state directory, and HTTP where it is asked for. What is served is the admin server's.

use std::net::{Ipv4Addr, SocketAddr};

use clap::Args;
use plugin_engine::Engine;
use plugin_engine_admin::{Admin, AdminError, AdminHandle, AdminOptions};

use crate::screen::Screen;

#[derive(Debug, Args)]
pub(crate) struct AdminArgs {
    /// Serve the status page and the operations over HTTP, too; needs --state
    #[arg(long, value_name = "ADDR", value_parser = parse_addr)]
    http: Option<SocketAddr>,

    /// A name by which HTTP may be asked, beside localhost and the address
    #[arg(long = "http-host", value_name = "NAME", requires = "http")]
    http_hosts: Vec<String>,
}

fn parse_addr(text: &str) -> Result<SocketAddr, String> {
    let port = text.strip_prefix("localhost:").unwrap_or(text);
    if let Ok(port) = port.parse() {
        return Ok((Ipv4Addr::LOCALHOST, port).into());
    }
    text.parse().map_err(|_| {
        "write an address and a port, as in 127.0.0.1:8080; or a port alone".to_owned()
    })
}

/// Begins to serve, and says where over HTTP. Without a state directory there is nothing to serve on.
///
/// # Errors
/// Why HTTP cannot be served. A socket that cannot be opened keeps nobody from running plugins: it is said, and that is all.
pub(crate) fn serve(
    engine: &Engine,
    args: &AdminArgs,
    screen: &Screen,
) -> Result<Option<AdminHandle>, AdminError> {
    if engine.state_dir().is_none() && args.http.is_none() {
        return Ok(None);
    }
    let options = AdminOptions {
        http: args.http,
        http_hosts: args.http_hosts.clone(),
        ..AdminOptions::default()
    };
    let admin = match Admin::serve(engine, options) {
        Err(error @ (AdminError::SocketPath { .. } | AdminError::Socket { .. }))
            if args.http.is_none() =>
        {
            let code = error.code();
            screen.say(format_args!("nobody can ask this engine: {error} [{code}]"));
            return Ok(None);
        }
        served => served?,
    };
    if let (Some(addr), Some(token)) = (admin.http_addr(), admin.token_file()) {
        let needs = if addr.ip().is_loopback() {
            "commands need"
        } else {
            "everything but the page needs"
        };
        let token = token.display();
        screen.say(format_args!("http://{addr}; {needs} the token in {token}"));
    }
    Ok(Some(admin))
}

#[cfg(test)]
mod tests {
    use super::parse_addr;

    #[test]
    fn an_address_is_one_with_a_port_or_a_port_of_this_machine() {
        for (text, addr) in [
            ("8080", "127.0.0.1:8080"),
            ("localhost:0", "127.0.0.1:0"),
            ("0.0.0.0:80", "0.0.0.0:80"),
            ("[::1]:80", "[::1]:80"),
        ] {
            assert_eq!(parse_addr(text), Ok(addr.parse().unwrap()), "{text}");
        }
        for bad in ["", "engine.example:80", "127.0.0.1", "65536", ":80"] {
            assert!(
                parse_addr(bad).unwrap_err().contains("127.0.0.1:8080"),
                "{bad}"
            );
        }
    }
}
