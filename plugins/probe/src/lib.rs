//! Asks a server on this machine whether it is well, and publishes when that has changed.
//!
//! It is a lesson in async code inside a plugin: the runtime belongs to the instance, lives on the thread that makes the call and on no other,
//! and nothing of it is left when the instance is dropped. What is asked for ends before the call's deadline does, and no more of an
//! answer is read than is needed.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use plugin_api::prelude::*;
use tokio::net::TcpStream;

const ANSWER_LEN_MAX: usize = 64 * 1024; // of which no more is read

/// Who is asked.
#[derive(serde::Deserialize, plugin_api::schemars::JsonSchema)]
#[schemars(crate = "plugin_api::schemars")]
#[serde(deny_unknown_fields)]
struct Settings {
    /// Address and port, such as `127.0.0.1:8080`: of this machine. There is no default.
    #[schemars(with = "String")]
    address: SocketAddr,
    /// What is asked for. Default: `/`.
    path: Option<String>,
}

struct Probe {
    runtime: tokio::runtime::Runtime,
    settings: Settings,
    last: Option<(u16, Duration)>,
}

async fn ask(settings: &Settings) -> Result<u16, Box<dyn std::error::Error + Send + Sync>> {
    let stream = TcpStream::connect(settings.address).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // Ends with the runtime's next call at the latest, as its sender is dropped below.
    let connection = tokio::spawn(connection);
    let path = settings.path.as_deref().unwrap_or("/");
    let request = hyper::Request::get(path)
        .header(hyper::header::HOST, settings.address.to_string())
        .body(Empty::<Bytes>::new())?;
    let answer = sender.send_request(request).await?;
    let status = answer.status().as_u16();
    Limited::new(answer, ANSWER_LEN_MAX).collect().await?;
    connection.abort();
    Ok(status)
}

impl Plugin for Probe {
    fn create(cx: &CreateContext) -> Result<Self, PluginError> {
        let settings: Settings = cx.settings()?;
        if !settings.address.ip().is_loopback() {
            return Err(PluginError::permanent("the address is not this machine's"));
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let last = None;
        Ok(Self {
            runtime,
            settings,
            last,
        })
    }

    fn update(&mut self, cx: &UpdateContext) -> Result<(), PluginError> {
        let began = Instant::now();
        let time = cx.time_left() * 9 / 10;
        let asked = async { tokio::time::timeout(time, ask(&self.settings)).await? };
        let status = self.runtime.block_on(asked).map_err(|error| {
            PluginError::recoverable(format!("no answer from {}: {error}", self.settings.address))
        })?;
        if self.last.is_none_or(|(before, _)| before != status) {
            cx.publish("status", status.to_string());
        }
        self.last = Some((status, began.elapsed()));
        if status >= 500 {
            return Err(PluginError::recoverable(format!("the status is {status}")));
        }
        Ok(())
    }

    fn display(&mut self, _cx: &DisplayContext) -> Result<View, PluginError> {
        Ok(View::text(match self.last {
            Some((status, took)) => format!("{status} after {} ms\n", took.as_millis()),
            None => "not answered yet\n".to_owned(),
        }))
    }

    fn settings_schema() -> Option<String> {
        plugin_api::schema::<Settings>()
    }
}

export_plugin!(Probe, id = "probe", interval = "10s", timeout = "2s");
