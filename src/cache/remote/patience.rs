//! How long a server may stay silent: the same time whatever a call carries. So a message holds no more than
//! crosses the line in a part of that time, and a stream has to go on moving.

use super::breaker::Fault;
use std::future::Future;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// A stream that brings less than this in a second has stopped.
const TRICKLE: u64 = 8 << 10;
/// What a message holds at first, at least, and at most.
const FIRST: u64 = 64 << 10;
const LEAST: u64 = 16 << 10;
const MOST: u64 = 1 << 20;

/// How much of a stream has moved, and when it last did.
pub(super) struct Moved {
    least: u64,
    mark: AtomicU64,
    at: Mutex<Instant>,
}

impl Moved {
    /// Nothing yet, from now on.
    pub(super) fn new(patience: Duration) -> Self {
        let least = (TRICKLE as f64 * patience.as_secs_f64()) as u64;
        Self { least: least.max(1), mark: AtomicU64::new(0), at: Mutex::new(Instant::now()) }
    }

    /// So many bytes, all in all. Less than a trickle more is no movement.
    pub(super) fn reach(&self, bytes: u64) {
        if bytes >= self.mark.load(Ordering::Relaxed) + self.least {
            self.mark.store(bytes, Ordering::Relaxed);
            *self.at.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        }
    }

    fn last(&self) -> Instant {
        *self.at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The stream begins once more. The clock goes on: a server can't win time by breaking off.
    pub(super) fn again(&self) {
        self.mark.store(0, Ordering::Relaxed);
    }

    /// How long nothing has moved.
    pub(super) fn silence(&self) -> Duration {
        self.last().elapsed()
    }
}

/// `work`, for as long as `moved` goes on growing: never longer than `patience` after it last did.
pub(super) async fn while_it_moves<T>(
    moved: &Moved,
    patience: Duration,
    work: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    let mut work = std::pin::pin!(work);
    loop {
        let last = moved.last();
        // Work is looked at before the clock: what has arrived meanwhile counts.
        match timeout_at(last + patience, &mut work).await {
            Ok(done) => return done,
            Err(_) if moved.last() > last => {}
            Err(_) => return Err(Fault::Silent(patience)),
        }
    }
}

/// How much goes into one message, learned from those that were answered.
pub(super) struct Pace {
    patience: Duration,
    most: AtomicU64,
    under_way: AtomicU32,
}

/// A transfer under way.
pub(super) struct UnderWay<'a> {
    pace: &'a Pace,
    began: Instant,
}

impl Pace {
    /// Of a line that nothing is known about.
    pub(super) fn new(patience: Duration) -> Self {
        Self { patience, most: AtomicU64::new(FIRST), under_way: AtomicU32::new(0) }
    }

    /// Bytes that a message may hold now. Those that are under way share the line.
    pub(super) fn most(&self) -> u64 {
        let shared = u64::from(self.under_way.load(Ordering::Relaxed)) + 1;
        (self.most.load(Ordering::Relaxed) / shared).max(LEAST)
    }

    /// A transfer begins.
    pub(super) fn begin(&self) -> UnderWay<'_> {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        UnderWay { pace: self, began: Instant::now() }
    }

    fn learn(&self, bytes: u64, took: Duration) {
        let most = self.most.load(Ordering::Relaxed);
        let carried = bytes as f64 * (self.patience.as_secs_f64() / 16.0) / took.as_secs_f64().max(1e-6);
        let next = if carried > 2.0 * most as f64 && bytes >= most / 8 {
            (2 * most).min(MOST)
        } else if took > self.patience / 4 && carried < most as f64 {
            (most / 2).max(LEAST)
        } else {
            most
        };
        self.most.store(next, Ordering::Relaxed);
    }
}

impl UnderWay<'_> {
    /// It is over, and these bytes are there.
    pub(super) fn done(self, bytes: u64) {
        self.pace.learn(bytes, self.began.elapsed());
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.pace.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How many results are asked for at once, at first, at least, and at most.
const AT_FIRST: usize = 8;
const AT_LEAST: usize = 4;
const AT_MOST: usize = 64;

/// How many questions are under way at once, learned from those that were answered: a server that answers one after the
/// other must not be taken for a silent one.
pub(super) struct Crowd {
    patience: Duration,
    most: usize,
}

impl Crowd {
    /// Of a server that nothing is known about.
    pub(super) fn new(patience: Duration) -> Self {
        Self { patience, most: AT_FIRST }
    }

    /// How many.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// One was answered.
    pub(super) fn learn(&mut self, took: Duration) {
        if took < self.patience / 16 {
            self.most = (self.most + 1).min(AT_MOST);
        } else if took > self.patience / 4 {
            self.most = (self.most / 2).max(AT_LEAST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::sleep;

    const PATIENCE: Duration = Duration::from_secs(2);

    /// Runs under a clock that stands still while anything is left to do, and then jumps: what it shows is
    /// exact, however busy the machine is.
    fn on_a_clock_of_its_own<T>(work: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.unwrap().block_on(work)
    }

    async fn until(moved: &Moved, work: impl Future<Output = Result<(), Fault>>) -> Duration {
        let began = Instant::now();
        let ended = while_it_moves(moved, PATIENCE, work).await;
        assert!(matches!(ended, Err(Fault::Silent(PATIENCE))), "{ended:?}");
        began.elapsed()
    }

    /// The timer of the runtime counts whole milliseconds.
    fn is_about(took: Duration, expected: Duration) {
        assert!(took >= expected && took <= expected + Duration::from_millis(2), "{took:?}, not {expected:?}");
    }

    #[test]
    fn a_stream_that_stops_is_given_up_after_the_patience_and_not_later() {
        // However much has moved, and whenever it stopped: also right after the clock was looked at.
        for (steps, every) in [(0, 0), (1, 100), (1, 1999), (7, 700), (30, 1990)] {
            on_a_clock_of_its_own(async {
                let moved = Moved::new(PATIENCE);
                let work = async {
                    for step in 1..=steps {
                        sleep(Duration::from_millis(every)).await;
                        moved.reach(step << 20);
                    }
                    std::future::pending().await
                };
                let took = until(&moved, work).await;
                is_about(took, Duration::from_millis(steps * every) + PATIENCE);
            });
        }
    }

    #[test]
    fn a_trickle_is_no_movement_and_all_else_is() {
        on_a_clock_of_its_own(async {
            let moved = Moved::new(PATIENCE);
            let trickle = async {
                for bytes in 0.. {
                    moved.reach(bytes * 1000);
                    sleep(Duration::from_millis(250)).await;
                }
                Ok(())
            };
            is_about(until(&moved, trickle).await, PATIENCE);
            let moved = Moved::new(PATIENCE);
            let slow = async {
                for bytes in 0..100 {
                    moved.reach(bytes * 20_000);
                    sleep(Duration::from_millis(1900)).await;
                }
                Ok(())
            };
            assert!(while_it_moves(&moved, PATIENCE, slow).await.is_ok());
        });
    }

    #[test]
    fn breaking_off_wins_no_time() {
        on_a_clock_of_its_own(async {
            let (moved, began) = (Moved::new(PATIENCE), Instant::now());
            for _ in 0..3 {
                moved.again();
                let breaks = async {
                    sleep(Duration::from_millis(900)).await;
                    Err::<(), _>(Fault::Local("broken off".into()))
                };
                let _ = while_it_moves(&moved, PATIENCE, breaks).await;
            }
            is_about(began.elapsed(), PATIENCE);
        });
    }

    /// However long a server takes for each answer, and one after the other: nothing waits for its whole patience.
    #[test]
    fn as_many_are_asked_for_as_are_answered_in_time() {
        let server = |for_each: Duration| {
            let mut crowd = Crowd::new(PATIENCE);
            for _ in 0..1000 {
                let took = for_each * crowd.most() as u32;
                crowd.learn(took);
                assert!(took < PATIENCE || crowd.most() == AT_LEAST, "{for_each:?}: {took:?}");
            }
            crowd.most()
        };
        assert_eq!(server(Duration::from_micros(100)), AT_MOST);
        assert_eq!(server(Duration::from_millis(200)), AT_LEAST);
        // Between the two it stays where answers take a sixteenth to a quarter of the time.
        let most = server(Duration::from_millis(10));
        assert!((12..=50).contains(&most), "{most}");
    }

    #[test]
    fn a_message_holds_what_the_line_carries() {
        let line = |rate: u64, at_once: u64| {
            on_a_clock_of_its_own(async {
                let pace = Pace::new(PATIENCE);
                for _ in 0..100 {
                    // As many as share the line, all begun before any has ended.
                    let transfers: Vec<_> = (0..at_once).map(|_| (pace.most(), pace.begin())).collect();
                    let all: u64 = transfers.iter().map(|(bytes, _)| bytes).sum();
                    let took = Duration::from_secs_f64(all as f64 / rate as f64);
                    assert!(took < PATIENCE, "{rate} bytes a second, {at_once} at once: {took:?}");
                    sleep(took).await;
                    transfers.into_iter().for_each(|(bytes, transfer)| transfer.done(bytes));
                }
                pace.most()
            })
        };
        for at_once in [1, 4, 16] {
            // A telephone, an office, a rack.
            for rate in [256 << 10, 4 << 20, 100 << 20] {
                line(rate, at_once);
            }
        }
        assert_eq!(line(100 << 20, 1), MOST);
        assert!(line(256 << 10, 1) <= FIRST);
    }
}
