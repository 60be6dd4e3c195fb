//! A disk that fails on command, for tests: a VFS of SQLite over the ordinary one, by a name of its own.
//!
//! What is written goes into the ordinary files at once, so whoever reads sees it, as the kernel's cache would show it.
//! Beside each file stands what a cut of the power would leave of it: its bytes at the last sync that succeeded, and of
//! what was written since any part, in any order, the last piece torn between two sectors. As on Linux, a failed sync is
//! reported once to every descriptor that was open, and what it should have brought to disk counts as clean from then
//! on: no later sync brings it there. Nothing is really synced, so tests are fast.
#![expect(unsafe_code, reason = "SQLite takes a VFS as a table of C functions; compiled for tests only")]

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::{CStr, CString, OsStr, c_int, c_void},
    fs,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    ptr,
    sync::{
        Condvar, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
};

use rusqlite::ffi::{self, sqlite3_file, sqlite3_int64, sqlite3_io_methods, sqlite3_vfs};

/// A write is torn between two of these.
const SECTOR: usize = 512;

/// What fails, until something else is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Every write finds the disk full.
    Full,
    /// The file system was mounted anew for reading only.
    ReadOnly,
    /// Every write fails.
    Write,
    /// Every sync fails.
    Sync,
    /// Nothing can be read or written.
    Dead,
}

/// Gives a number below the one asked for.
pub type Dice = Box<dyn FnMut(u64) -> u64 + Send>;

enum Change {
    Write(u64, Vec<u8>),
    Truncate(u64),
}

impl Change {
    fn apply(&self, image: &mut Vec<u8>) {
        let index = |place: u64| usize::try_from(place).expect("files of tests fit into memory");
        match self {
            Change::Write(at, bytes) => {
                let (from, to) = (index(*at), index(*at) + bytes.len());
                if image.len() < to {
                    image.resize(to, 0);
                }
                image[from..to].copy_from_slice(bytes);
            }
            Change::Truncate(length) => image.resize(index(*length), 0),
        }
    }
}

/// One file, as it is on disk.
#[derive(Default)]
struct Platter {
    durable: Vec<u8>,
    /// Written and not synced.
    unsynced: Vec<Change>,
    /// Descriptors.
    open: BTreeSet<u64>,
    /// Descriptors that have not heard of a failed sync yet.
    owed: BTreeSet<u64>,
}

#[derive(Default)]
struct State {
    fault: Option<Fault>,
    files: BTreeMap<PathBuf, Platter>,
    /// Writes and syncs until the power is cut, and what decides how much of them is left.
    cut: Option<(u64, Dice)>,
    /// What the cut left.
    left: BTreeMap<PathBuf, Vec<u8>>,
    /// Syncs wait.
    held: bool,
    /// Syncs that wait now.
    waiting: usize,
    syncs: u64,
    failed_syncs: u64,
}

impl State {
    /// Whether a write gets through.
    fn write(&mut self) -> Result<(), c_int> {
        self.tick();
        match self.fault {
            None | Some(Fault::Sync) => Ok(()),
            Some(Fault::Full) => Err(ffi::SQLITE_FULL),
            Some(Fault::ReadOnly | Fault::Write | Fault::Dead) => Err(ffi::SQLITE_IOERR_WRITE),
        }
    }
    fn sync(&mut self, path: &Path, descriptor: u64) -> Result<(), c_int> {
        self.tick();
        let fails = matches!(self.fault, Some(Fault::Sync | Fault::Dead));
        let Some(file) = self.files.get_mut(path) else {
            // After a cut no file is there any more, and this one is not on disk.
            return if fails { Err(ffi::SQLITE_IOERR_FSYNC) } else { Ok(()) };
        };
        if fails {
            file.unsynced.clear();
            file.owed = file.open.clone();
        }
        if file.owed.remove(&descriptor) {
            self.failed_syncs += 1;
            return Err(ffi::SQLITE_IOERR_FSYNC);
        }
        for change in file.unsynced.drain(..) {
            change.apply(&mut file.durable);
        }
        self.syncs += 1;
        Ok(())
    }
    /// One write or sync more; the power goes when its time has come.
    fn tick(&mut self) {
        match self.cut.take() {
            Some((0, mut dice)) => {
                let files = std::mem::take(&mut self.files).into_iter();
                self.left = files.map(|(path, file)| (path, left(file, &mut dice))).collect();
                self.fault = Some(Fault::Dead);
            }
            Some((more, dice)) => self.cut = Some((more - 1, dice)),
            None => {}
        }
    }
}

/// What a cut of the power leaves of a file.
fn left(file: Platter, dice: &mut Dice) -> Vec<u8> {
    let mut image = file.durable;
    // One time in three nothing of it, which is the most that can be lost.
    let share = dice(3);
    for change in file.unsynced {
        if dice(2) >= share {
            continue;
        }
        match change {
            Change::Write(at, mut bytes) if dice(4) == 0 => {
                let sectors = (bytes.len() / SECTOR) as u64;
                bytes.truncate(usize::try_from(dice(sectors + 1)).unwrap_or(0) * SECTOR);
                Change::Write(at, bytes).apply(&mut image);
            }
            whole => whole.apply(&mut image),
        }
    }
    image
}

struct Disk {
    real: *mut sqlite3_vfs,
    state: Mutex<State>,
    changed: Condvar,
    descriptors: AtomicU64,
}

// SAFETY: `real` is SQLite's own VFS, which lives as long as the process and may be used from any thread.
unsafe impl Sync for Disk {}

impl Disk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no code panics while it holds this lock")
    }
}

/// The disk. Stores that are opened with its [`FaultyDisk::vfs`] lie on it.
pub struct FaultyDisk {
    disk: &'static Disk,
    name: String,
}

impl Default for FaultyDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl FaultyDisk {
    /// A disk that works.
    pub fn new() -> Self {
        static DISKS: AtomicU64 = AtomicU64::new(0);
        let name = format!("faulty-disk-{}", DISKS.fetch_add(1, Ordering::Relaxed));
        let c_name = CString::new(name.clone()).expect("the name holds no zero");
        // SAFETY: the default VFS exists once SQLite is initialised, which this does; what is registered is leaked, so it
        // outlives every connection.
        unsafe {
            assert_eq!(ffi::sqlite3_initialize(), ffi::SQLITE_OK);
            let real = ffi::sqlite3_vfs_find(ptr::null());
            assert!(!real.is_null(), "SQLite has no VFS");
            let disk: &'static Disk = Box::leak(Box::new(Disk {
                real,
                state: Mutex::default(),
                changed: Condvar::new(),
                descriptors: 0.into(),
            }));
            // Whatever is not replaced needs nothing of the VFS that it is called with.
            let vfs = Box::leak(Box::new(sqlite3_vfs {
                szOsFile: (*real).szOsFile
                    + c_int::try_from(size_of::<Handle>()).expect("a handle is two pointers"),
                pNext: ptr::null_mut(),
                zName: c_name.into_raw(),
                pAppData: ptr::from_ref(disk).cast_mut().cast::<c_void>(),
                xOpen: Some(open),
                xDelete: Some(delete),
                ..*real
            }));
            assert_eq!(ffi::sqlite3_vfs_register(vfs, 0), ffi::SQLITE_OK);
            Self { disk, name }
        }
    }
    /// The name that a store is opened with.
    pub fn vfs(&self) -> String {
        self.name.clone()
    }
    /// Fails from now on, or works again.
    pub fn set(&self, fault: Option<Fault>) {
        self.disk.state().fault = fault;
    }
    /// Lets every sync wait, as a slow disk does, until they are released.
    pub fn hold_syncs(&self) {
        self.disk.state().held = true;
    }
    /// Lets the syncs go on.
    pub fn release_syncs(&self) {
        self.disk.state().held = false;
        self.disk.changed.notify_all();
    }
    /// Syncs that wait now.
    pub fn waiting_syncs(&self) -> usize {
        self.disk.state().waiting
    }
    /// Syncs that succeeded, and those that failed.
    pub fn syncs(&self) -> (u64, u64) {
        let state = self.disk.state();
        (state.syncs, state.failed_syncs)
    }
    /// Cuts the power with the write or sync after so many. From then on nothing works; what is left of the files is
    /// decided by the dice.
    pub fn cut_power_after(&self, operations: u64, dice: Dice) {
        self.disk.state().cut = Some((operations, dice));
    }
    /// Whether the power is cut.
    pub fn is_cut(&self) -> bool {
        let state = self.disk.state();
        state.fault == Some(Fault::Dead) && state.cut.is_none()
    }
    /// Leaves of the files what the cut has left, and works again. Nothing may have them open any more.
    pub fn restore_power(&self) -> std::io::Result<()> {
        let mut state = self.disk.state();
        for (path, image) in std::mem::take(&mut state.left) {
            fs::write(&path, image)?;
            // The index of the log lives in memory.
            let mut index = path.into_os_string();
            index.push("-shm");
            if fs::exists(&index)? {
                fs::remove_file(index)?;
            }
        }
        state.fault = None;
        Ok(())
    }
}

/// What SQLite holds of an open file. The memory of the ordinary VFS's file follows it.
#[repr(C)]
struct Handle {
    base: sqlite3_file,
    open: *mut Open,
}

struct Open {
    disk: &'static Disk,
    path: Option<PathBuf>,
    descriptor: u64,
}

/// # Safety
/// `file` must have been opened by [`open`].
unsafe fn real_of(file: *mut sqlite3_file) -> *mut sqlite3_file {
    // SAFETY: `szOsFile` leaves room for the ordinary file behind the handle.
    unsafe { file.cast::<Handle>().add(1).cast() }
}

/// # Safety
/// `file` must have been opened by [`open`] and not be closed.
unsafe fn open_of<'a>(file: *mut sqlite3_file) -> &'a Open {
    // SAFETY: set by `open`, freed by `close` only.
    unsafe { &*(*file.cast::<Handle>()).open }
}

/// # Safety
/// `vfs` must be one of [`FaultyDisk::new`].
unsafe fn disk_of(vfs: *mut sqlite3_vfs) -> &'static Disk {
    // SAFETY: set by `FaultyDisk::new`, never freed.
    unsafe { &*(*vfs).pAppData.cast::<Disk>() }
}

/// # Safety
/// `name` must be null or end with a zero.
unsafe fn path_of(name: *const std::ffi::c_char) -> Option<PathBuf> {
    // SAFETY: as the caller promises.
    let name = (!name.is_null()).then(|| unsafe { CStr::from_ptr(name) })?;
    Some(PathBuf::from(OsStr::from_bytes(name.to_bytes())))
}

unsafe extern "C" fn open(
    vfs: *mut sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut sqlite3_file,
    mut flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    // SAFETY: SQLite calls this with a VFS of `FaultyDisk::new` and `szOsFile` bytes at `file`.
    unsafe {
        let (disk, path) = (disk_of(vfs), path_of(name));
        (*file).pMethods = ptr::null();
        let descriptor = disk.descriptors.fetch_add(1, Ordering::Relaxed);
        let mut state = disk.state();
        match state.fault {
            Some(Fault::Dead) => return ffi::SQLITE_CANTOPEN,
            Some(Fault::ReadOnly) => {
                flags &= !(ffi::SQLITE_OPEN_READWRITE | ffi::SQLITE_OPEN_CREATE);
                flags |= ffi::SQLITE_OPEN_READONLY;
            }
            _ => {}
        }
        if let Some(path) = &path
            && !state.files.contains_key(path)
        {
            // Before the first descriptor: closing one would take the locks of the others along.
            let durable = fs::read(path).unwrap_or_default();
            state.files.insert(path.clone(), Platter { durable, ..Platter::default() });
        }
        let real = real_of(file);
        let opens = (*disk.real).xOpen.expect("every VFS opens files");
        let result = opens(disk.real, name, real, flags, out_flags);
        if result == ffi::SQLITE_OK {
            if let Some(platter) = path.as_ref().and_then(|path| state.files.get_mut(path)) {
                platter.open.insert(descriptor);
            }
            (*file.cast::<Handle>()).open = Box::into_raw(Box::new(Open { disk, path, descriptor }));
            (*file).pMethods = &raw const METHODS;
        }
        result
    }
}

unsafe extern "C" fn delete(vfs: *mut sqlite3_vfs, name: *const std::ffi::c_char, sync: c_int) -> c_int {
    // SAFETY: SQLite calls this with a VFS of `FaultyDisk::new` and a name.
    unsafe {
        let disk = disk_of(vfs);
        let mut state = disk.state();
        if matches!(state.fault, Some(Fault::Dead | Fault::ReadOnly)) {
            return ffi::SQLITE_IOERR_DELETE;
        }
        if let Some(path) = path_of(name) {
            state.files.remove(&path);
        }
        (*disk.real).xDelete.expect("every VFS deletes files")(disk.real, name, sync)
    }
}

/// Hands a call on to the ordinary file.
macro_rules! pass {
    ($name:ident, $method:ident $(, $argument:ident: $kind:ty)* => $answer:ty) => {
        unsafe extern "C" fn $name(file: *mut sqlite3_file $(, $argument: $kind)*) -> $answer {
            // SAFETY: SQLite calls this with a file that `open` has opened, and the ordinary VFS has all methods of the
            // version that `METHODS` states.
            unsafe {
                let real = real_of(file);
                (*(*real).pMethods).$method.expect("the ordinary VFS has it")(real $(, $argument)*)
            }
        }
    };
}

pass!(real_close, xClose => c_int);
pass!(real_read, xRead, to: *mut c_void, amount: c_int, at: sqlite3_int64 => c_int);
pass!(real_write, xWrite, from: *const c_void, amount: c_int, at: sqlite3_int64 => c_int);
pass!(real_truncate, xTruncate, size: sqlite3_int64 => c_int);
pass!(file_size, xFileSize, size: *mut sqlite3_int64 => c_int);
pass!(lock, xLock, level: c_int => c_int);
pass!(unlock, xUnlock, level: c_int => c_int);
pass!(check_reserved_lock, xCheckReservedLock, result: *mut c_int => c_int);
pass!(file_control, xFileControl, operation: c_int, argument: *mut c_void => c_int);
pass!(sector_size, xSectorSize => c_int);
pass!(device_characteristics, xDeviceCharacteristics => c_int);
pass!(real_shm_map, xShmMap, page: c_int, size: c_int, extend: c_int, to: *mut *mut c_void => c_int);
pass!(shm_lock, xShmLock, offset: c_int, count: c_int, flags: c_int => c_int);
pass!(shm_barrier, xShmBarrier => ());
pass!(shm_unmap, xShmUnmap, remove: c_int => c_int);

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    // SAFETY: SQLite closes a file that `open` has opened once, and uses it no more.
    unsafe {
        let open = Box::from_raw((*file.cast::<Handle>()).open);
        let mut state = open.disk.state();
        if let Some(platter) = open.path.as_ref().and_then(|path| state.files.get_mut(path)) {
            platter.open.remove(&open.descriptor);
            platter.owed.remove(&open.descriptor);
        }
        drop(state);
        real_close(file)
    }
}

unsafe extern "C" fn read(
    file: *mut sqlite3_file,
    to: *mut c_void,
    amount: c_int,
    at: sqlite3_int64,
) -> c_int {
    // SAFETY: SQLite calls this with a file that `open` has opened.
    unsafe {
        let fault = open_of(file).disk.state().fault;
        if fault == Some(Fault::Dead) { ffi::SQLITE_IOERR_READ } else { real_read(file, to, amount, at) }
    }
}

unsafe extern "C" fn write(
    file: *mut sqlite3_file,
    from: *const c_void,
    amount: c_int,
    at: sqlite3_int64,
) -> c_int {
    // SAFETY: SQLite calls this with a file that `open` has opened and `amount` bytes at `from`.
    unsafe {
        let open = open_of(file);
        let mut state = open.disk.state();
        if let Err(code) = state.write() {
            return code;
        }
        let result = real_write(file, from, amount, at);
        if result == ffi::SQLITE_OK
            && let Some(platter) = open.path.as_ref().and_then(|path| state.files.get_mut(path))
        {
            let length = usize::try_from(amount).expect("SQLite writes no negative amount");
            let bytes = std::slice::from_raw_parts(from.cast::<u8>(), length).to_vec();
            platter.unsynced.push(Change::Write(at.cast_unsigned(), bytes));
        }
        result
    }
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, size: sqlite3_int64) -> c_int {
    // SAFETY: SQLite calls this with a file that `open` has opened.
    unsafe {
        let open = open_of(file);
        let mut state = open.disk.state();
        // A shorter file needs no room.
        match state.write() {
            Ok(()) | Err(ffi::SQLITE_FULL) => {}
            Err(_) => return ffi::SQLITE_IOERR_TRUNCATE,
        }
        let result = real_truncate(file, size);
        if result == ffi::SQLITE_OK
            && let Some(platter) = open.path.as_ref().and_then(|path| state.files.get_mut(path))
        {
            platter.unsynced.push(Change::Truncate(size.cast_unsigned()));
        }
        result
    }
}

unsafe extern "C" fn sync(file: *mut sqlite3_file, _flags: c_int) -> c_int {
    // SAFETY: SQLite calls this with a file that `open` has opened.
    let open = unsafe { open_of(file) };
    let mut state = open.disk.state();
    state.waiting += 1;
    state = open.disk.changed.wait_while(state, |state| state.held).expect("no code panics under this lock");
    state.waiting -= 1;
    let Some(path) = &open.path else { return ffi::SQLITE_OK };
    state.sync(path, open.descriptor).map_or_else(|code| code, |()| ffi::SQLITE_OK)
}

unsafe extern "C" fn shm_map(
    file: *mut sqlite3_file,
    page: c_int,
    size: c_int,
    extend: c_int,
    to: *mut *mut c_void,
) -> c_int {
    // SAFETY: SQLite calls this with a file that `open` has opened.
    unsafe {
        let fault = open_of(file).disk.state().fault;
        let no_room = matches!(fault, Some(Fault::Full | Fault::Dead));
        let result = real_shm_map(file, page, size, if no_room { 0 } else { extend }, to);
        let missing = no_room && extend != 0 && result == ffi::SQLITE_OK && (*to).is_null();
        if missing { ffi::SQLITE_IOERR_SHMSIZE } else { result }
    }
}

/// Version 2: with the index of the log in shared memory, without mapped files.
static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};
