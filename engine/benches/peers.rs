//! What a user would pick instead: the same plugin function, called by hand.

use std::collections::VecDeque;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, SyncSender};
use std::time::{Duration, Instant};

use abi_stable::library::AbiHeaderRef;
use abi_stable::prefix_type::WithMetadata;
use abi_stable::std_types::{RSlice, RStr};
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use parking_lot::Mutex;
use plugin_api::abi::{
    CallFrame, Failure, HostHandle, HostServices, HostServicesRef, LogRecord, Panic,
    PluginModuleRef,
};
use plugin_engine_tests::built;

/// Services for a plugin that uses none.
struct NoServices;

impl NoServices {
    abi_stable::staticref! {
        const VALUE: WithMetadata<HostServices> = WithMetadata::new(HostServices {
            retain: Self::nothing,
            release: Self::nothing,
            now_ns: Self::zero,
            is_cancelled: Self::no,
            record_progress: Self::no_progress,
            publish: Self::no_event,
            log: Self::no_log,
            settings: Self::no_text,
            id: Self::no_text,
            fail: Self::no_failure,
            view: Self::no_view,
            panicked: Self::no_panic,
        });
    }
    const TABLE: HostServicesRef = HostServicesRef(Self::VALUE.as_prefix());

    extern "C" fn nothing(_: HostHandle) {}
    extern "C" fn zero(_: HostHandle) -> u64 {
        0
    }
    extern "C" fn no(_: HostHandle, _: u64) -> bool {
        false
    }
    extern "C" fn no_progress(_: HostHandle, _: u64) {}
    extern "C" fn no_event(_: HostHandle, _: u64, _: RStr<'_>, _: RStr<'_>) -> u8 {
        0
    }
    extern "C" fn no_log(_: HostHandle, _: u64, _: &LogRecord<'_>) {}
    extern "C" fn no_text(_: HostHandle) -> RStr<'static> {
        RStr::from_str("{}")
    }
    extern "C" fn no_failure(_: *mut (), _: &Failure<'_>) {}
    extern "C" fn no_view(_: *mut (), _: u8, _: RSlice<'_, u8>) {}
    extern "C" fn no_panic(_: HostHandle, _: *mut (), _: &Panic<'_>) {}
}

/// The `noop` plugin, loaded by hand.
#[derive(Clone, Copy)]
pub(crate) struct RawPlugin {
    module: PluginModuleRef,
    update: unsafe extern "C" fn(*mut (), &CallFrame) -> u8,
    instance: usize,
    frame: CallFrame,
}

impl RawPlugin {
    pub(crate) fn load() -> Self {
        Self::load_file(&built("noop"))
    }

    /// The same, where it has been built already.
    pub(crate) fn load_file(file: &Path) -> Self {
        // SAFETY: the file is the fixture that was just built against this very contract; it is never unmapped, and the
        // services of the frame are never called, because `noop` calls none.
        unsafe {
            let library = Library::open(Some(file), RTLD_NOW | RTLD_LOCAL).expect("it loads");
            let header: AbiHeaderRef = *library
                .get::<AbiHeaderRef>(plugin_api::HEADER_SYMBOL.as_bytes())
                .expect("it has a header");
            let module = header
                .upgrade()
                .expect("the header fits")
                .init_root_module::<PluginModuleRef>()
                .expect("the contract fits");
            std::mem::forget(library);
            let frame = CallFrame {
                host: HostHandle(std::ptr::null()),
                services: NoServices::TABLE,
                reply: std::ptr::null_mut(),
                call_id: 1,
                deadline_ns: u64::MAX,
                log_level_max: 0,
            };
            Self::create(module, frame)
        }
    }

    fn create(module: PluginModuleRef, frame: CallFrame) -> Self {
        let mut instance = std::ptr::null_mut();
        // SAFETY: the module is that of a file which is never unmapped, and the frame is whole.
        let status = unsafe { module.create()(&frame, &mut instance) };
        assert_eq!(status, 0);
        Self {
            module,
            update: module.update(),
            instance: instance.expose_provenance(),
            frame,
        }
    }

    /// Another instance of the same file.
    pub(crate) fn another(&self) -> Self {
        Self::create(self.module, self.frame)
    }

    #[inline]
    pub(crate) fn call(&self) -> u8 {
        let instance = std::ptr::with_exposed_provenance_mut(self.instance);
        // SAFETY: the contestants call it from one thread at a time, or do not care: `noop` adds one to a number.
        unsafe { (self.update)(std::hint::black_box(instance), &self.frame) }
    }

    /// As abi_stable has one call it: the function is looked up in the root module each time.
    pub(crate) fn calls_by_module(&self, count: usize) {
        for _ in 0..count {
            let instance = std::ptr::with_exposed_provenance_mut(self.instance);
            let module = std::hint::black_box(self.module);
            // SAFETY: as for `call`.
            let status = unsafe { module.update()(instance, &self.frame) };
            std::hint::black_box(status);
        }
    }

    pub(crate) fn calls(&self, count: usize) {
        for _ in 0..count {
            std::hint::black_box(self.call());
        }
    }

    pub(crate) fn calls_with_clock(&self, count: usize) {
        for _ in 0..count {
            let began = Instant::now();
            std::hint::black_box(self.call());
            std::hint::black_box(began.elapsed());
        }
    }

    pub(crate) fn calls_with_records(&self, count: usize, records: &Records) {
        for _ in 0..count {
            records.around(|| self.call());
        }
    }
}

/// Instances, each with records of its own.
pub(crate) struct RawFleet {
    plugins: Vec<(RawPlugin, Records)>,
}

impl RawFleet {
    pub(crate) fn new(raw: &RawPlugin, count: usize) -> Self {
        Self::of((0..count).map(|_| raw.another()))
    }

    /// One instance of each of these files.
    pub(crate) fn of_files(files: &[PathBuf]) -> Self {
        Self::of(files.iter().map(|file| RawPlugin::load_file(file)))
    }

    fn of(plugins: impl Iterator<Item = RawPlugin>) -> Self {
        let fleet = Self {
            plugins: plugins.map(|raw| (raw, Records::default())).collect(),
        };
        // Rings grow to their full length first, as those of the engine do.
        for _ in 0..RING_LEN {
            fleet.update(0..fleet.plugins.len());
        }
        fleet
    }

    /// Updates some of them, each once.
    pub(crate) fn update(&self, which: Range<usize>) {
        for (raw, records) in &self.plugins[which] {
            records.around(|| raw.call());
        }
    }
}

/// How many transitions are kept.
const RING_LEN: usize = 512;

/// What a careful user would keep of a plugin: a state, counts, and the last transitions.
#[derive(Default)]
pub(crate) struct Records {
    inner: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    seq: u64,
    running: bool,
    updates: u64,
    failures: u64,
    last: Option<Instant>,
    history: VecDeque<(u64, Instant, bool, Duration)>,
}

impl Kept {
    fn push(&mut self, at: Instant, running: bool, took: Duration) {
        self.seq += 1;
        self.running = running;
        if self.history.len() == RING_LEN {
            self.history.pop_front();
        }
        self.history.push_back((self.seq, at, running, took));
    }
}

impl Records {
    /// One call with a record before it and one behind it.
    #[inline]
    pub(crate) fn around(&self, call: impl FnOnce() -> u8) {
        let began = Instant::now();
        self.start(began);
        let status = call();
        self.end(Instant::now(), began, status);
    }

    /// What can be asked of them, as one value: the number of the last entry, the state, updates, failures, the time of the last one.
    pub(crate) fn read(&self) -> (u64, bool, u64, u64, Option<Instant>) {
        let kept = self.inner.lock();
        (
            kept.seq,
            kept.running,
            kept.updates,
            kept.failures,
            kept.last,
        )
    }

    fn start(&self, at: Instant) {
        self.inner.lock().push(at, true, Duration::ZERO);
    }

    fn end(&self, at: Instant, began: Instant, status: u8) {
        let mut kept = self.inner.lock();
        kept.updates += 1;
        kept.failures += u64::from(status != 0);
        kept.last = Some(at);
        kept.push(at, false, at - began);
    }
}

/// `tokio::spawn_blocking` and `timeout` per update.
pub(crate) struct SpawnBlocking {
    runtime: tokio::runtime::Runtime,
    records: Arc<Records>,
}

impl SpawnBlocking {
    pub(crate) fn new() -> Self {
        Self {
            runtime: tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_time()
                .build()
                .expect("the runtime starts"),
            records: Arc::default(),
        }
    }

    pub(crate) fn updates(&self, count: usize, raw: &RawPlugin) {
        self.runtime.block_on(async {
            for _ in 0..count {
                let raw = SendRaw(*raw);
                let began = Instant::now();
                self.records.start(began);
                let call = tokio::task::spawn_blocking(move || raw.call());
                let status = tokio::time::timeout(Duration::from_secs(1), call)
                    .await
                    .expect("it is in time")
                    .expect("it does not panic");
                self.records.end(Instant::now(), began, status);
            }
        });
    }
}

/// The contestants call one instance in turn, from threads of their own.
#[derive(Clone, Copy)]
struct SendRaw(RawPlugin);

impl SendRaw {
    fn call(&self) -> u8 {
        self.0.call()
    }
}

pub(crate) fn thread_per_call(count: usize, raw: &RawPlugin) {
    let records = Records::default();
    for _ in 0..count {
        let raw = SendRaw(*raw);
        let began = Instant::now();
        records.start(began);
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || sender.send(raw.call()));
        let status = receiver
            .recv_timeout(Duration::from_secs(1))
            .expect("it is in time");
        records.end(Instant::now(), began, status);
    }
}

/// Threads that take batches from a channel, as one writes it by hand: no deadline, the same records.
pub(crate) struct HandWrittenPool {
    work: Vec<SyncSender<(Batch, SyncSender<()>)>>,
}

/// What one of the threads is to do.
enum Batch {
    One(usize, SendRaw),
    Fleet(Arc<RawFleet>, Range<usize>),
}

impl HandWrittenPool {
    pub(crate) fn new(threads: usize) -> Self {
        let work = (0..threads)
            .map(|_| {
                let (sender, receiver) = mpsc::sync_channel::<(Batch, SyncSender<()>)>(4);
                std::thread::spawn(move || {
                    let records = Records::default();
                    while let Ok((batch, done)) = receiver.recv() {
                        match batch {
                            Batch::One(count, raw) => raw.0.calls_with_records(count, &records),
                            Batch::Fleet(fleet, which) => fleet.update(which),
                        }
                        let _ = done.send(());
                    }
                });
                sender
            })
            .collect();
        Self { work }
    }

    pub(crate) fn updates(&self, count: usize, raw: &RawPlugin) {
        let batch = 1_000;
        for _ in 0..count / batch {
            let share = batch / self.work.len();
            self.share_out((0..self.work.len()).map(|_| Batch::One(share, SendRaw(*raw))));
        }
    }

    /// Updates each plugin of a fleet once.
    pub(crate) fn cycle(&self, fleet: &Arc<RawFleet>) {
        let share = fleet.plugins.len() / self.work.len();
        let shares = 0..self.work.len();
        self.share_out(
            shares.map(|at| Batch::Fleet(Arc::clone(fleet), at * share..(at + 1) * share)),
        );
    }

    fn share_out(&self, batches: impl Iterator<Item = Batch>) {
        let (done, end) = mpsc::sync_channel(self.work.len());
        for (work, batch) in self.work.iter().zip(batches) {
            let _ = work.send((batch, done.clone()));
        }
        for _ in 0..self.work.len() {
            let _ = end.recv();
        }
    }
}
