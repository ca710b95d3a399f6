//! Completions on their way from the driver's threads to the one C thread that takes them: a queue under
//! a lock, and an eventfd that is readable while the queue holds something. Its length is bounded by what
//! has been submitted: at most one completion for each row and one for each group.

use crate::failure::{Code, Failure};
use crate::GROUP;
use std::collections::VecDeque;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::Mutex;

pub struct Completion {
    pub tag: u64,
    pub row: u32,
    pub code: Code,
    pub text: String,
}

pub struct Queue {
    waiting: Mutex<VecDeque<Completion>>,
    event: OwnedFd,
}

impl Queue {
    pub fn new() -> std::io::Result<Queue> {
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if fd < 0 {
            return Err(std::io::Error::last_os_error());
        }
        let event = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Queue {
            waiting: Mutex::new(VecDeque::new()),
            event,
        })
    }

    pub fn fd(&self) -> i32 {
        self.event.as_raw_fd()
    }

    pub fn row_failed(&self, tag: u64, row: usize, failure: Failure) {
        let Failure { code, text } = failure;
        self.push(Completion {
            tag,
            row: row as u32,
            code,
            text,
        });
    }

    pub fn group_done(&self, tag: u64) {
        self.push(Completion {
            tag,
            row: GROUP,
            code: Code::Ok,
            text: String::new(),
        });
    }

    fn push(&self, completion: Completion) {
        let mut waiting = self.waiting.lock().unwrap();
        waiting.push_back(completion);
        if waiting.len() == 1 {
            // Under the lock, so that the event and the queue never disagree.
            let one = 1u64;
            unsafe { libc::write(self.fd(), (&raw const one).cast(), 8) };
        }
    }

    /// Gives at most `most` completions to `each`, the oldest first.
    pub fn take(&self, most: usize, mut each: impl FnMut(&Completion)) {
        let mut waiting = self.waiting.lock().unwrap();
        let n = most.min(waiting.len());
        if n == 0 {
            return;
        }
        waiting.drain(..n).for_each(|completion| each(&completion));
        if waiting.is_empty() {
            let mut count = 0u64;
            unsafe { libc::read(self.fd(), (&raw mut count).cast(), 8) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readable(queue: &Queue) -> bool {
        let mut poll = libc::pollfd {
            fd: queue.fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        unsafe { libc::poll(&raw mut poll, 1, 0) == 1 }
    }

    #[test]
    fn the_event_says_whether_completions_wait() {
        let queue = Queue::new().unwrap();
        assert!(!readable(&queue));
        queue.row_failed(7, 3, Failure::new(Code::Refused, "too large"));
        queue.group_done(7);
        assert!(readable(&queue));

        let mut seen = Vec::new();
        queue.take(1, |c| seen.push((c.tag, c.row, c.code, c.text.clone())));
        assert!(readable(&queue));
        queue.take(9, |c| seen.push((c.tag, c.row, c.code, c.text.clone())));
        assert!(!readable(&queue));
        assert_eq!(
            seen,
            [
                (7, 3, Code::Refused, "too large".into()),
                (7, GROUP, Code::Ok, String::new())
            ]
        );
        queue.take(9, |_| panic!("nothing waits"));
    }
}
