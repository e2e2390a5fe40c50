//! What a user would pick instead: the same plugin function, called by hand.

use std::collections::VecDeque;
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
    update: unsafe extern "C" fn(*mut (), &CallFrame) -> u8,
    instance: usize,
    frame: CallFrame,
}

impl RawPlugin {
    pub(crate) fn load() -> Self {
        // SAFETY: the file is the fixture that was just built against this very contract; it is never unmapped, and the
        // services of the frame are never called, because `noop` calls none.
        unsafe {
            let library =
                Library::open(Some(built("noop")), RTLD_NOW | RTLD_LOCAL).expect("it loads");
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
            let mut instance = std::ptr::null_mut();
            assert_eq!(module.create()(&frame, &mut instance), 0);
            Self {
                update: module.update(),
                instance: instance.addr(),
                frame,
            }
        }
    }

    #[inline]
    fn call(&self) -> u8 {
        let instance = std::ptr::with_exposed_provenance_mut(self.instance);
        // SAFETY: the contestants call it from one thread at a time, or do not care: `noop` adds one to a number.
        unsafe { (self.update)(std::hint::black_box(instance), &self.frame) }
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
            let began = Instant::now();
            records.start(began);
            let status = self.call();
            records.end(Instant::now(), began, status);
        }
    }
}

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
        if self.history.len() == 512 {
            self.history.pop_front();
        }
        self.history.push_back((self.seq, at, running, took));
    }
}

impl Records {
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

/// Two threads that take batches from a channel, as one writes it by hand: no deadline, the same records.
pub(crate) struct HandWrittenPool {
    work: Vec<SyncSender<(usize, SendRaw, SyncSender<()>)>>,
}

impl HandWrittenPool {
    pub(crate) fn new(threads: usize) -> Self {
        let work = (0..threads)
            .map(|_| {
                let (sender, receiver) = mpsc::sync_channel::<(usize, SendRaw, SyncSender<()>)>(4);
                std::thread::spawn(move || {
                    let records = Records::default();
                    while let Ok((count, raw, done)) = receiver.recv() {
                        raw.0.calls_with_records(count, &records);
                        let _ = done.send(());
                    }
                });
                sender
            })
            .collect();
        Self { work }
    }

    pub(crate) fn updates(&self, count: usize, raw: &RawPlugin) {
        let (done, end) = mpsc::sync_channel(self.work.len());
        let batch = 1_000;
        for at in 0..count / batch {
            let work = (batch / self.work.len(), SendRaw(*raw), done.clone());
            let _ = self.work[at % self.work.len()].send(work);
            let work = (batch / self.work.len(), SendRaw(*raw), done.clone());
            let _ = self.work[(at + 1) % self.work.len()].send(work);
            for _ in 0..self.work.len() {
                let _ = end.recv();
            }
        }
    }
}
