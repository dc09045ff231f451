//! Bugs that are put in on purpose, to see whether the simulation (`tests/simulation`) finds them.
//!
//! They are built with `--cfg planted` only, and then none of them is there before `plant` says so. In every other build `planted!(…)` is the word
//! `false`, and nothing is left of it.

/// Whether this bug is there.
#[cfg(planted)]
macro_rules! planted {
    ($bug:ident) => {
        $crate::planted::is_there($crate::planted::Bug::$bug)
    };
}

#[cfg(not(planted))]
macro_rules! planted {
    ($bug:ident) => {
        false
    };
}

#[cfg(planted)]
pub(crate) use there::is_there;
#[cfg(planted)]
pub use there::{Bug, plant};

#[cfg(planted)]
mod there {
    use std::cell::Cell;

    thread_local! {
        static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    /// From now on this bug is there, on this thread, or none.
    pub fn plant(bug: Option<Bug>) {
        PLANTED.set(bug);
    }

    pub(crate) fn is_there(bug: Bug) -> bool {
        PLANTED.get() == Some(bug)
    }

    macro_rules! bugs {
        ($($(#[$doc:meta])* $bug:ident,)*) => {
            /// Each one line of the library as it might have been.
            #[derive(Clone, Copy, Debug, PartialEq, Eq)]
            pub enum Bug {
                $($(#[$doc])* $bug,)*
            }

            impl Bug {
                #[allow(missing_docs, reason = "it is what it is")]
                pub const ALL: &[Self] = &[$(Self::$bug,)*];
            }
        };
    }

    bugs! {
        /// The bytes of a message are given back twice when its handler lets go of it.
        CreditTwice,
        /// What came in one read with the 101 is not handed on to the websocket.
        UnreadLost,
        /// A frame is written behind our Close frame.
        FrameAfterClose,
        /// `Closed` is told a second time when a websocket is cut off.
        ClosedTwice,
        /// The pong's deadline does not stand still while we do not read.
        PongWhileSuspended,
        /// A later request's answer does not wait for the earlier one's.
        AnswerOvertakes,
        /// A byte is skipped when the socket takes a part only.
        ByteLostAtPartialWrite,
        /// One data frame is taken at the hard limit.
        HardLimitOffByOne,
        /// The seat stays the HTTP connection's: the websocket is not told that the server goes away.
        SeatNotMoved,
        /// `send` is answered when the frame has been encoded, and not when it has been written.
        AckBeforeWrite,
        /// A ping in the midst of a message makes the codec forget that there is one.
        FragmentsLostAtPing,
        /// After its four reads a turn ends, and nobody takes the next.
        TurnNotTakenUp,
        /// Our Close frame is awaited without end.
        ClosingForever,
        /// The peer's Close frame is answered ahead of the messages before it.
        VerdictAtOnce,
        /// Who waits for room is not told that there is some.
        DrainedForgotten,
        /// What a scope has encoded is written past what waits already.
        ScopeOvertakes,
        /// The window is never found open again.
        WindowNotReopened,
        /// The masking-key begins anew with each part of a payload that comes.
        MaskRestarts,
        /// A policy drops a frame and does not count it.
        DropUntold,
        /// The newest of a key takes the place of the message before the one of its key.
        PlaceOfAnother,
        /// A streamed request that waits for room is not told that there is some.
        RoomUntold,
        /// What a connection has buffered counts for the budget when it is gone.
        ShareKept,
        /// Above the budget all are read.
        BudgetUnheeded,
        /// Who was once above the budget is never below it.
        PressedForGood,
    }
}
