//! The server: what all requests share, the thread that serves them, how it begins and ends.

use std::io;
use std::net::{SocketAddr, TcpListener as StdTcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use axum::Router;
use plugin_engine::{Code, Engine, SuperviseError, TaskContext, TaskHandle};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::runtime::{Builder, Handle};
use tokio::sync::{Semaphore, watch};
use tokio::task::spawn_blocking;

use crate::access::{Entrance, Rules};
use crate::answer::Refusal;
use crate::connection::{self, FULL};
use crate::error::AdminError;
use crate::event_ring::EventRing;
use crate::options::{AdminLimits, AdminOptions};
use crate::socket::Socket;
use crate::token::Token;
use crate::{SOCKET_NAME, TOKEN_NAME, routes};

/// What the task is called.
pub(crate) const TASK_NAME: &str = "admin";
/// How often the task says that it is alive when nobody asks anything.
const PERIOD: Duration = Duration::from_secs(2);
/// How many questions are answered at the same time, each on a thread. None of them waits for a plugin.
const QUERIES_MAX: usize = 4;
/// How long requests that are under way may still take at the end.
const GRACE: Duration = Duration::from_millis(300);
/// How long whoever stops the server waits for its thread.
const STOP_WITHIN: Duration = Duration::from_secs(2);
/// How long nobody is let in after it did not work.
const PAUSE: Duration = Duration::from_millis(100);

/// What all requests share.
pub(crate) struct App {
    pub(crate) engine: Engine,
    /// For those who come in by HTTP; `None` if nobody can.
    pub(crate) rules: Option<Rules>,
    pub(crate) limits: AdminLimits,
    pub(crate) events: EventRing,
    commands: Arc<Semaphore>,
    queries: Arc<Semaphore>,
    stopping: watch::Sender<bool>,
}

impl App {
    pub(crate) fn new(engine: &Engine, rules: Option<Rules>, limits: AdminLimits) -> Self {
        Self {
            engine: engine.clone(),
            rules,
            limits,
            events: EventRing::new(engine),
            commands: Arc::new(Semaphore::new(limits.commands)),
            queries: Arc::new(Semaphore::new(QUERIES_MAX)),
            stopping: watch::Sender::new(false),
        }
    }

    /// Asks the engine something, where it may take its time.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Engine) -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let place = tokio::select! {
            place = Arc::clone(&self.queries).acquire_owned() => place,
            () = self.stopped() => return Err(Refusal::stopping()),
        };
        self.act(place.ok(), question).await
    }

    /// Has the engine do something that waits for a plugin.
    pub(crate) async fn command<T: Send + 'static>(
        &self,
        command: impl FnOnce(&Engine) -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let Ok(place) = Arc::clone(&self.commands).try_acquire_owned() else {
            let most = self.limits.commands;
            return Err(Refusal::new(
                axum::http::StatusCode::SERVICE_UNAVAILABLE,
                Code::ADMIN_BUSY,
                format!("{most} commands are under way, which is the most at a time; try again"),
            ));
        };
        self.act(place, command).await
    }

    async fn act<T: Send + 'static>(
        &self,
        place: impl Send + 'static,
        act: impl FnOnce(&Engine) -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let engine = self.engine.clone();
        let acting = spawn_blocking(move || {
            let done = act(&engine);
            drop(place);
            done
        });
        acting
            .await
            .map_err(|_| Refusal::broken("the engine could not be asked"))
    }

    pub(crate) fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Waits until the server is to end.
    pub(crate) async fn stopped(&self) {
        // The sender is here.
        let _ = self
            .stopping
            .subscribe()
            .wait_for(|stopping| *stopping)
            .await;
    }
}

/// Where a server lets somebody in.
struct Entrances {
    app: Arc<App>,
    router: Router,
    socket: Option<(Socket, UnixListener)>,
    http: Option<TcpListener>,
    places: [Arc<Semaphore>; 2],
}

impl Entrances {
    /// Opens everything. On the runtime that serves it.
    fn open(engine: &Engine, options: &AdminOptions) -> Result<Self, AdminError> {
        let mut rules = None;
        let mut http = None;
        if let Some(addr) = options.http {
            let dir = engine.state_dir().ok_or(AdminError::NoStateDir)?;
            let token = Token::open(&dir.join(TOKEN_NAME))?;
            rules = Some(Rules::new(token, addr, &options.http_hosts)?);
            let listener = listen(addr).map_err(|source| AdminError::Http { addr, source })?;
            http = Some(listener);
        }
        let mut socket = None;
        if let Some(dir) = engine.state_dir().filter(|_| options.socket) {
            let path = dir.join(SOCKET_NAME);
            let opened = Socket::open(&path)?;
            let listener = opened.listener.try_clone().and_then(UnixListener::from_std);
            let listener = listener.map_err(|source| AdminError::Socket { path, source })?;
            socket = Some((opened, listener));
        }
        let limits = options.limits;
        let app = Arc::new(App::new(engine, rules, limits));
        Ok(Self {
            router: routes::router(&app),
            app,
            socket,
            http,
            places: [(); 2].map(|()| Arc::new(Semaphore::new(limits.connections))),
        })
    }

    /// Lets nobody in any more, and tells those who are in to come to an end.
    fn close(&self) {
        if let Some((socket, _)) = &self.socket {
            socket.take_away();
        }
        self.app.stopping.send_replace(true);
    }

    /// Waits until nobody is in any more.
    async fn emptied(&self) {
        let all = u32::try_from(self.app.limits.connections).unwrap_or(u32::MAX);
        for places in &self.places {
            let _ = places.acquire_many(all).await;
        }
    }

    /// Lets somebody in over the socket.
    async fn enter_by_socket(&self) -> io::Result<()> {
        let Some((_, listener)) = &self.socket else {
            return std::future::pending().await;
        };
        let (stream, _) = listener.accept().await?;
        let own = rustix::process::geteuid().as_raw();
        // Before it had its mode, others might have come.
        if stream
            .peer_cred()
            .is_ok_and(|peer| peer.uid() == own || peer.uid() == 0)
        {
            let refuse = |bytes: &[u8]| stream.try_write(bytes).map(drop);
            if let Some(place) = self.place(0, refuse) {
                self.enter(stream, Entrance::Socket, place);
            }
        }
        Ok(())
    }

    /// Lets somebody in over HTTP.
    async fn enter_by_http(&self) -> io::Result<()> {
        let Some(listener) = &self.http else {
            return std::future::pending().await;
        };
        let (stream, _) = listener.accept().await?;
        // One that is gone already has no address.
        let Ok(reached) = stream.local_addr() else {
            return Ok(());
        };
        let _ = stream.set_nodelay(true);
        let refuse = |bytes: &[u8]| stream.try_write(bytes).map(drop);
        if let Some(place) = self.place(1, refuse) {
            self.enter(stream, Entrance::Http(reached), place);
        }
        Ok(())
    }

    fn place(
        &self,
        entrance: usize,
        refuse: impl FnOnce(&[u8]) -> io::Result<()>,
    ) -> Option<tokio::sync::OwnedSemaphorePermit> {
        let place = Arc::clone(&self.places[entrance]).try_acquire_owned();
        if place.is_err() {
            // Whoever is not even ready to read so little is told nothing.
            let _ = refuse(FULL);
        }
        place.ok()
    }

    fn enter(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        entrance: Entrance,
        place: tokio::sync::OwnedSemaphorePermit,
    ) {
        let (app, router) = (Arc::clone(&self.app), self.router.clone());
        tokio::spawn(connection::serve(app, router, stream, entrance, place));
    }
}

fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let listener = StdTcpListener::bind(addr)?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// Closes the server when its task is told to end, whoever drops it then.
struct CloseAtEnd {
    context: TaskContext,
    open: Arc<Entrances>,
}

impl Drop for CloseAtEnd {
    fn drop(&mut self) {
        // After a panic it goes on.
        if self.context.is_cancelled() {
            self.open.close();
        }
    }
}

type Opened = watch::Receiver<Option<Arc<Entrances>>>;

/// The task: lets people in, and keeps the events.
async fn serve(context: TaskContext, mut opened: Opened) {
    let open = match opened.wait_for(Option::is_some).await {
        Ok(open) => open.clone(),
        Err(_) => return,
    };
    let Some(open) = open else { return };
    let closes = CloseAtEnd { context, open };
    let (context, open) = (&closes.context, &closes.open);
    loop {
        context.record_progress();
        let entered = tokio::select! {
            entered = open.enter_by_socket() => entered,
            entered = open.enter_by_http() => entered,
            () = open.app.events.keep() => Ok(()),
            () = context.sleep_async(PERIOD) => Ok(()),
        };
        if let Err(error) = entered {
            tracing::warn!(target: "plugin_engine::admin", %error, "cannot let anybody in just now");
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// The thread that serves, from its beginning to its end.
fn run(
    engine: Engine,
    threads: usize,
    opened: Opened,
    begun: &SyncSender<Result<(TaskHandle, Handle), AdminError>>,
) {
    let runtime = Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .thread_name("admin-call")
        .max_blocking_threads(threads)
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(source) => {
            let _ = begun.send(Err(AdminError::Thread { source }));
            return;
        }
    };
    let entered = runtime.enter();
    let serving = opened.clone();
    let task = engine
        .task(TASK_NAME)
        .period(PERIOD)
        .expected()
        .start_async(move |context| serve(context, serving.clone()));
    drop(entered);
    // From here on only what is open holds the engine.
    drop(engine);
    let task: TaskHandle = match task {
        Ok(task) => task,
        Err(error) => {
            let _ = begun.send(Err(error.into()));
            return;
        }
    };
    let _ = begun.send(Ok((task.clone(), runtime.handle().clone())));
    runtime.block_on(async {
        task.ended().await;
        let open = opened.borrow().clone();
        if let Some(open) = open {
            open.close();
            let _ = tokio::time::timeout(GRACE, open.emptied()).await;
        }
    });
    // Whoever still waits for a plugin is left behind.
    runtime.shutdown_background();
}

/// Serves the operations of an engine; see [`Admin::serve`].
#[derive(Debug)]
pub struct Admin;

impl Admin {
    /// Serves the operations of an engine, over the socket `admin.sock` in its state directory and over HTTP, as the options say, until the
    /// handle is dropped or the engine is shut down. From then on the events are kept that `/events` begins with, so this comes before
    /// plugins are loaded.
    ///
    /// An engine without a state directory has no socket, and HTTP cannot be had, either. A socket that is there already is replaced: the
    /// state directory is this engine's alone. The token is read from the file `token` in the state directory, and made if there is none.
    ///
    /// The server holds a handle of the engine: that is not dropped before the server has ended.
    ///
    /// # Errors
    /// What was asked for cannot be opened, the token is not kept as a secret, the engine has a server already or was shut down, or
    /// no thread can be had. Nothing is left then.
    pub fn serve(engine: &Engine, options: AdminOptions) -> Result<AdminHandle, AdminError> {
        let (ready, opened) = watch::channel(None);
        let (begun, begins) = sync_channel(1);
        let threads = options.limits.commands.saturating_add(QUERIES_MAX);
        let (its, opens) = (engine.clone(), opened.clone());
        let thread = std::thread::Builder::new()
            .name(TASK_NAME.to_owned())
            .spawn(move || run(its, threads, opens, &begun))
            .map_err(|source| AdminError::Thread { source })?;
        let (task, runtime) = match begins.recv() {
            Ok(begun) => begun?,
            Err(_) => {
                let source = io::Error::other("it has ended");
                return Err(AdminError::Thread { source });
            }
        };
        let mut handle = AdminHandle {
            http: None,
            socket: None,
            token: None,
            task,
            thread: Some(thread),
        };
        // The task has its name from here on, so nobody else opens what is opened now. Dropped, the handle ends the task.
        let open = {
            let _entered = runtime.enter();
            Entrances::open(engine, &options)?
        };
        let http = open.http.as_ref().map(TcpListener::local_addr);
        handle.http = http.and_then(Result::ok);
        let socket = open.socket.as_ref();
        handle.socket = socket.map(|(socket, _)| socket.path().to_owned());
        let rules = open.app.rules.as_ref();
        handle.token = rules.map(|rules| rules.token().path().to_owned());
        let open = Arc::new(open);
        ready.send_replace(Some(Arc::clone(&open)));
        if handle.task.state() != plugin_engine::TaskState::Running {
            open.close();
            let name = TASK_NAME.into();
            return Err(SuperviseError::ShutDown { name }.into());
        }
        Ok(handle)
    }
}

/// A server that runs. Dropping it stops it.
#[must_use = "dropping it stops the server"]
pub struct AdminHandle {
    http: Option<SocketAddr>,
    socket: Option<PathBuf>,
    token: Option<PathBuf>,
    task: TaskHandle,
    thread: Option<JoinHandle<()>>,
}

impl AdminHandle {
    /// The address on which HTTP is served, with the port that was taken.
    #[must_use]
    pub fn http_addr(&self) -> Option<SocketAddr> {
        self.http
    }

    /// The socket.
    #[must_use]
    pub fn socket(&self) -> Option<&Path> {
        self.socket.as_deref()
    }

    /// The file with the token for HTTP.
    #[must_use]
    pub fn token_file(&self) -> Option<&Path> {
        self.token.as_deref()
    }

    /// Stops the server: takes the socket away, ends streams, and gives requests that are under way a third of a second. One that waits for
    /// a plugin beyond that is left behind. Returns within two seconds.
    pub fn stop(self) {}
}

impl Drop for AdminHandle {
    fn drop(&mut self) {
        self.task.cancel();
        let Some(thread) = self.thread.take() else {
            return;
        };
        let until = Instant::now() + STOP_WITHIN;
        while !thread.is_finished() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
        if thread.is_finished() {
            // It does not panic: what it runs is supervised.
            let _ = thread.join();
        }
    }
}

impl std::fmt::Debug for AdminHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AdminHandle")
            .field("http", &self.http)
            .field("socket", &self.socket)
            .finish_non_exhaustive()
    }
}
