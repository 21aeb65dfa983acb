//! Threads for work that blocks: started as they are needed, up to a bound.

use crate::process::take_short_turns;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

type Work = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Queue {
    work: VecDeque<Work>,
    /// How much of it, from the front on, is urgent.
    urgent: usize,
    idle: usize,
    threads: usize,
    closed: bool,
}

/// A pool of threads.
pub struct Pool {
    shared: Arc<(Mutex<Queue>, Condvar)>,
    most: usize,
    threads: Mutex<Vec<std::thread::JoinHandle<()>>>,
}

impl Pool {
    /// With at most `most` threads; none is started yet.
    pub fn new(most: usize) -> Self {
        Self { shared: Arc::default(), most: most.max(1), threads: Mutex::default() }
    }

    /// Has `work` done; what is urgent comes before what is not.
    ///
    /// # Errors
    /// No thread could be started and none is there; the work was not taken.
    pub fn spawn(&self, urgent: bool, work: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
        let (queue, wake) = &*self.shared;
        let mut guard = queue.lock().unwrap_or_else(PoisonError::into_inner);
        let at = if urgent { guard.urgent } else { guard.work.len() };
        guard.work.insert(at, Box::new(work));
        guard.urgent += usize::from(urgent);
        if guard.idle < guard.work.len() && guard.threads < self.most {
            let shared = Arc::clone(&self.shared);
            match std::thread::Builder::new().name("weir-work".into()).spawn(move || serve(&shared)) {
                Ok(thread) => {
                    guard.threads += 1;
                    drop(guard);
                    self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
                    return Ok(());
                }
                Err(error) if guard.threads == 0 => {
                    guard.work.remove(at);
                    guard.urgent -= usize::from(urgent);
                    return Err(error);
                }
                Err(_) => {}
            }
        }
        drop(guard);
        wake.notify_one();
        Ok(())
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let (queue, wake) = &*self.shared;
        queue.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        wake.notify_all();
        for thread in self.threads.get_mut().unwrap_or_else(PoisonError::into_inner).drain(..) {
            let _ = thread.join();
        }
    }
}

fn serve(shared: &(Mutex<Queue>, Condvar)) {
    take_short_turns();
    let (queue, wake) = shared;
    let mut guard = queue.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        if let Some(work) = guard.work.pop_front() {
            guard.urgent = guard.urgent.saturating_sub(1);
            drop(guard);
            work();
            guard = queue.lock().unwrap_or_else(PoisonError::into_inner);
        } else if guard.closed {
            return;
        } else {
            guard.idle += 1;
            guard = wake.wait(guard).unwrap_or_else(PoisonError::into_inner);
            guard.idle -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn what_is_urgent_comes_first_each_in_its_order() {
        let pool = Pool::new(1);
        let (go, held) = mpsc::channel::<()>();
        let (tell, told) = mpsc::channel();
        pool.spawn(false, move || held.recv().unwrap()).unwrap();
        let queue = |urgent, name| {
            let tell = tell.clone();
            pool.spawn(urgent, move || tell.send(name).unwrap()).unwrap();
        };
        // The first may still be in the queue: then it is one that is not urgent.
        for (urgent, name) in [(false, 'a'), (true, 'b'), (false, 'c'), (true, 'd')] {
            queue(urgent, name);
        }
        go.send(()).unwrap();
        drop((pool, tell));
        let order: String = told.iter().collect();
        assert_eq!(order, "bdac");
    }
}
