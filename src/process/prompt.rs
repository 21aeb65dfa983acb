//! Threads that hand work on: they run for some microseconds and sleep again, and a core may be idle until they do.

/// Asks for short turns for this thread, so that it runs soon after it is woken, and not only when a command that keeps its core
/// busy has had its own. It has no larger share of the time by that, and nothing it starts has short turns too.
///
/// On Linux from 6.12 on, `sched_setattr(2)` takes the length of a turn, from 0.1 ms on, for `SCHED_OTHER` as well; older ones
/// pay no heed. Elsewhere, and where a user has given weir another policy or a better priority, which what it starts is to
/// have too, nothing happens.
pub fn take_short_turns() {
    #[cfg(target_os = "linux")]
    linux::take_short_turns();
}

#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
mod linux {
    use nix::libc;

    /// The shortest that the kernel takes, in nanoseconds.
    const SHORTEST: u64 = 100_000;

    /// `struct sched_attr` in its first version.
    #[repr(C)]
    #[derive(Default)]
    struct Attributes {
        size: u32,
        policy: u32,
        flags: u64,
        nice: i32,
        priority: u32,
        runtime: u64,
        deadline: u64,
        period: u64,
    }

    pub(super) fn take_short_turns() {
        let size = size_of::<Attributes>() as u32;
        let mut attributes = Attributes::default();
        // SAFETY: the pointer is to a live value of `size` bytes, in which any bytes are a value.
        let read = unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut attributes, size, 0) };
        if read != 0 || attributes.policy != libc::SCHED_OTHER as u32 || attributes.nice < 0 {
            return;
        }
        attributes.size = size;
        attributes.flags = libc::SCHED_FLAG_RESET_ON_FORK as u64;
        attributes.runtime = SHORTEST;
        // SAFETY: the pointer is to a live value of the size that it names.
        let _ = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
    }
}
