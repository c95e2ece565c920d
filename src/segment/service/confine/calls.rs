//! The system calls that are left: an allow-list. Another call fails with `EPERM`.

use std::collections::BTreeMap;

use nix::libc;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter,
};

/// Installs the filters for this thread and those that it makes.
pub(super) fn restrict() -> Result<(), String> {
    // A new filter decides as the stricter of it and those before: this one lets everything else pass.
    // clone3 has its flags in memory, where no filter sees them; without it the C library takes clone.
    let no_clone3 = [(libc::SYS_clone3, Vec::new())].into();
    apply(no_clone3, SeccompAction::Allow, SeccompAction::Errno(errno(libc::ENOSYS)))?;
    apply(allowed()?, SeccompAction::Errno(errno(libc::EPERM)), SeccompAction::Allow)
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

fn apply(rules: Rules, others: SeccompAction, these: SeccompAction) -> Result<(), String> {
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(|error| error.to_string())?;
    let filter =
        SeccompFilter::new(rules, others, these, arch).map_err(|error| error.to_string())?;
    let program = BpfProgram::try_from(filter).map_err(|error| error.to_string())?;
    apply_filter(&program).map_err(|error| error.to_string())
}

fn allowed() -> Result<Rules, String> {
    let mut rules: Rules = FREE.iter().map(|call| (*call, Vec::new())).collect();
    #[cfg(target_arch = "x86_64")]
    rules.extend(FREE_OLD.iter().map(|call| (*call, Vec::new())));
    let no_code = |argument| masked(argument, libc::PROT_EXEC, 0);
    rules.insert(libc::SYS_mmap, vec![rule(vec![no_code(2)?])?]);
    rules.insert(libc::SYS_mprotect, vec![rule(vec![no_code(2)?])?]);
    let thread = masked(0, libc::CLONE_THREAD, libc::CLONE_THREAD)?;
    rules.insert(libc::SYS_clone, vec![rule(vec![thread])?]);
    rules.insert(libc::SYS_socket, sockets()?);
    let pair = equals(0, libc::AF_UNIX)?;
    rules.insert(libc::SYS_socketpair, vec![rule(vec![pair])?]);
    // What a thread is called; and whether it may get new privileges, which is asked for by each filter.
    let names =
        [libc::PR_SET_NAME, libc::PR_SET_NO_NEW_PRIVS].map(|option| rule(vec![equals(0, option)?]));
    rules.insert(libc::SYS_prctl, names.into_iter().collect::<Result<_, _>>()?);
    rules.insert(libc::SYS_ioctl, ioctls()?);
    Ok(rules)
}

/// TCP for the door; a datagram to the service manager.
fn sockets() -> Result<Vec<SeccompRule>, String> {
    // The low bits are the type; the others say non-blocking and close-on-exec.
    let kind = |kind| masked(1, 0xff, kind);
    Ok(vec![
        rule(vec![equals(0, libc::AF_INET)?, kind(libc::SOCK_STREAM)?])?,
        rule(vec![equals(0, libc::AF_UNIX)?, kind(libc::SOCK_DGRAM)?])?,
    ])
}

/// What the runtime asks of descriptors: non-blocking, and the bytes that wait. No terminal, no device.
fn ioctls() -> Result<Vec<SeccompRule>, String> {
    [libc::FIONBIO, libc::FIONREAD, libc::FIOCLEX]
        .into_iter()
        .map(|request| {
            let request = u64::from(u32::try_from(request).map_err(|error| error.to_string())?);
            rule(vec![condition(1, SeccompCmpOp::Eq, request)?])
        })
        .collect()
}

fn rule(conditions: Vec<SeccompCondition>) -> Result<SeccompRule, String> {
    SeccompRule::new(conditions).map_err(|error| error.to_string())
}

fn equals(argument: u8, value: i32) -> Result<SeccompCondition, String> {
    condition(argument, SeccompCmpOp::Eq, number(value)?)
}

fn masked(argument: u8, mask: i32, value: i32) -> Result<SeccompCondition, String> {
    condition(argument, SeccompCmpOp::MaskedEq(number(mask)?), number(value)?)
}

fn condition(argument: u8, op: SeccompCmpOp, value: u64) -> Result<SeccompCondition, String> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, op, value)
        .map_err(|error| error.to_string())
}

fn number(value: i32) -> Result<u64, String> {
    u64::try_from(value).map_err(|error| error.to_string())
}

fn errno(errno: i32) -> u32 {
    errno.unsigned_abs()
}

/// Whatever their arguments.
const FREE: &[i64] = &[
    // Descriptors.
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_lseek,
    libc::SYS_close,
    libc::SYS_fcntl,
    libc::SYS_dup,
    libc::SYS_eventfd2,
    libc::SYS_pipe2,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_ppoll,
    // Sockets that are open, or came by accept; others are opened as `sockets` says.
    libc::SYS_accept4,
    libc::SYS_connect,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
    libc::SYS_sendto,
    libc::SYS_recvfrom,
    libc::SYS_sendmsg,
    libc::SYS_recvmsg,
    libc::SYS_sendmmsg,
    libc::SYS_recvmmsg,
    libc::SYS_shutdown,
    // Files; where, is Landlock's.
    libc::SYS_openat,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_statfs,
    libc::SYS_fstatfs,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_getdents64,
    libc::SYS_mkdirat,
    libc::SYS_unlinkat,
    libc::SYS_renameat2,
    libc::SYS_ftruncate,
    libc::SYS_fallocate,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_sync_file_range,
    libc::SYS_flock,
    libc::SYS_fchmod,
    libc::SYS_readlinkat,
    // Memory; no code.
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
    // Threads, signals, time.
    libc::SYS_clone3,
    libc::SYS_futex,
    libc::SYS_set_robust_list,
    libc::SYS_get_robust_list,
    libc::SYS_rseq,
    libc::SYS_membarrier,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getrandom,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_tgkill,
    libc::SYS_restart_syscall,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_uname,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// Their elder forms, which the C library takes here and there.
#[cfg(target_arch = "x86_64")]
const FREE_OLD: &[i64] = &[
    libc::SYS_epoll_wait,
    libc::SYS_poll,
    libc::SYS_open,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_mkdir,
    libc::SYS_unlink,
    libc::SYS_rename,
    libc::SYS_renameat,
    libc::SYS_access,
    libc::SYS_readlink,
    libc::SYS_time,
];
