//! What has happened in a run and what was wrong, in one row, whichever of its connections tells it.

use std::fmt;
use std::hash::{DefaultHasher, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

/// Clones write in the same row.
#[derive(Clone)]
pub(crate) struct Log {
    row: Arc<Mutex<Row>>,
    /// Which connection it is that tells, where there are several.
    number: Option<usize>,
}

struct Row {
    began: Instant,
    /// What has happened, as a number; as text if it is to be read.
    hash: DefaultHasher,
    transcript: Option<Vec<String>>,
    wrong: Vec<String>,
}

impl Log {
    pub(crate) fn new(recorded: bool) -> Self {
        let row = Row { began: Instant::now(), hash: DefaultHasher::new(), transcript: recorded.then(Vec::new), wrong: Vec::new() };
        Self { row: Arc::new(Mutex::new(row)), number: None }
    }

    /// The same for one of several.
    pub(crate) fn of(&self, number: usize) -> Self {
        Self { row: self.row.clone(), number: Some(number) }
    }

    fn row(&self) -> MutexGuard<'_, Row> {
        self.row.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn note(&self, what: fmt::Arguments<'_>) {
        match self.number {
            Some(number) => self.row().note(format_args!("#{number} {what}")),
            None => self.row().note(what),
        }
    }

    /// Something is not as it should be.
    pub(crate) fn wrong(&self, what: fmt::Arguments<'_>) {
        self.note(format_args!("WRONG: {what}"));
        self.row().wrong.push(self.number.map_or_else(|| what.to_string(), |number| format!("#{number} {what}")));
    }

    /// The hash of it all, what was wrong, and what is to be read.
    pub(crate) fn close(&self) -> (u64, Vec<String>, Vec<String>) {
        let mut row = self.row();
        (row.hash.finish(), std::mem::take(&mut row.wrong), row.transcript.take().unwrap_or_default())
    }
}

impl Row {
    fn note(&mut self, what: fmt::Arguments<'_>) {
        struct Into<'a>(&'a mut DefaultHasher);
        impl fmt::Write for Into<'_> {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                self.0.write(text.as_bytes());
                Ok(())
            }
        }
        let at = self.began.elapsed();
        let _ = fmt::Write::write_fmt(&mut Into(&mut self.hash), format_args!("{at:?} {what}\n"));
        if let Some(transcript) = &mut self.transcript {
            transcript.push(format!("{:>10.3} s  {what}", at.as_secs_f64()));
        }
    }
}
