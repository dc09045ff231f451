//! What the books of the two ends must say, of each and of both.

use actix_sockets::stage::By;
use actix_sockets::test::End;

use super::ledger::{Books, Exchange, Said, Side};

/// What must be so when all is over.
impl Books {
    pub(crate) fn judge(&self) {
        for end in [End::Client, End::Server] {
            let broken = self.tap(end, |tap| tap.judge(end == End::Client, self.plan.ends[0].deflate && self.plan.ends[1].deflate));
            if let Err(what) = broken
                && self.plan.hostile != Some(end)
            {
                self.wrong(format_args!("{end:?} wrote what RFC 6455 forbids: {what}"));
            }
            self.judge_side(end);
        }
        let inner = self.open();
        for number in 0..inner.http.len() {
            let Exchange { told, error, begun_there, complete, aborted, .. } = &inner.http[number];
            let (told, error, begun_there, ends) = (*told, error.clone(), *begun_there, complete + aborted);
            // Who has answered hears no more of it.
            let early = self.plan.exchanges[number].streamed.is_some_and(|streamed| streamed.early);
            if ends > 1 || begun_there && ends == 0 && !early {
                inner.wrong(format_args!("request {number} has begun, and has ended {ends} times"));
            }
            if told != 1 {
                inner.wrong(format_args!("request {number} was answered {told} times"));
            }
            if let (true, Some(error)) = (self.plan.kind, error) {
                inner.wrong(format_args!("request {number}: {error}"));
            }
        }
        if inner.uploaded > 0 {
            let uploaded = inner.uploaded;
            inner.wrong(format_args!("{uploaded} bytes of content are in hand still"));
        }
        drop(inner);
        self.judge_both();
    }

    fn judge_side(&self, end: End) {
        let (plan, mut inner) = (&self.plan.ends[end as usize], self.open());
        let inner = &mut *inner;
        let side = &inner.sides[end as usize];
        let mut wrong = Vec::new();
        let mut check = |right: bool, what: String| {
            if !right {
                wrong.push(what);
            }
        };
        let exactly = usize::from(side.upgraded > 0 && !side.dead);
        check(side.upgraded <= 1, format!("Upgraded was told {} times", side.upgraded));
        let closed = side.closed.len();
        check(closed >= exactly && closed <= side.upgraded, format!("{} times Closed for {} times Upgraded", closed, side.upgraded));
        if plan.observed {
            check(side.observed == side.upgraded || side.dead, format!("an observer heard {} times Closed", side.observed));
        }
        check(side.held == 0, format!("{} bytes are in hand still", side.held));
        let read = self.plan.pieces.min(64 << 10);
        let most = plan.window + read + self.plan.longest;
        if !plan.deflate {
            check(
                side.most_held <= most,
                format!("{} bytes were in hand, the window is {}, a read at most {read}", side.most_held, plan.window),
            );
        }
        check(side.ponged <= side.pinged, "more pongs than pings".to_owned());
        for (number, said) in side.said.iter().enumerate() {
            check(!said.awaits || said.acked.is_some(), format!("nobody has said whether message {number} was written"));
            check(!said.is_dropped() || plan.drops(), format!("message {number} was dropped, and there is no such policy"));
        }
        for what in wrong {
            inner.wrong(format_args!("{end:?}: {what}"));
        }
    }

    /// What one end has to say about the other's.
    fn judge_both(&self) {
        let mut inner = self.open();
        let inner = &mut *inner;
        let mut wrong = Vec::new();
        for end in [End::Client, End::Server] {
            let (here, there) = (&inner.sides[end as usize], &inner.sides[end.other() as usize]);
            let Some(closed) = here.closed.first() else { continue };
            if here.dead || there.upgraded == 0 {
                continue;
            }
            // What the other end has been told to be written came before its Close, if that came.
            if closed.clean {
                let acked = there.said.iter().rposition(Said::is_written).map_or(0, |at| at + 1);
                let lost =
                    there.said.iter().enumerate().filter(|(number, said)| said.is_written() && !here.came.numbers.contains(number)).count();
                let lost = if self.plan.ends[end.other() as usize].conflates() { lost } else { acked.saturating_sub(here.heard) };
                if lost > 0 && !here.overflown {
                    wrong.push(format!("{end:?}: closed clean with {} messages heard, and {acked} were told to be written", here.heard));
                }
                // If it is that Close: a listener that winds down, or a handler that is dead, may have closed before.
                let before = there.closing.filter(|(_, code)| closed.by == By::Peer && closed.code.0 == *code).map_or(0, |(said, _)| said);
                let in_turn = there.said.iter().rposition(|said| said.in_turn).map_or(0, |at| at + 1);
                let in_turn = if self.plan.kind && there.closing.is_none() { in_turn } else { 0 };
                // As if heard: what came behind the last that was heard, and was dropped.
                let dropped = there.dropped().saturating_sub(here.missed);
                if here.heard + dropped < before.max(in_turn) {
                    wrong.push(format!(
                        "{end:?}: {} messages heard, {before} were sent before the Close, {in_turn} as answers in turn",
                        here.heard
                    ));
                }
            }
            if here.missed > there.dropped() {
                wrong.push(format!("{end:?}: {} messages did not come, and {} are told to be dropped", here.missed, there.dropped()));
            }
            if let (true, [other]) = (closed.clean, &there.closed[..])
                && other.clean
                && (closed.by, other.by) != (By::Us, By::Us)
                && (closed.by == other.by || closed.code != other.code || closed.reason != other.reason)
            {
                wrong.push(format!("the ends do not agree: {closed:?}, {other:?}"));
            }
            if self.plan.kind && !closed.clean && !self.has_made_room(&inner.sides) {
                wrong.push(format!("{end:?}: the network was kind, and the end was not: {closed:?}"));
            }
        }
        for what in wrong {
            inner.wrong(format_args!("{what}"));
        }
    }

    /// Whether both ends are websockets, or one will not be.
    pub(crate) fn is_begun(&self) -> bool {
        let inner = self.open();
        if !self.plan.upgrades {
            return inner.answered == self.plan.exchanges.len();
        }
        let sides = &inner.sides;
        sides.iter().all(|side| side.upgraded > 0) || sides.iter().any(|side| side.refused > 0)
    }

    /// Whether all that was sent was heard, and nothing else is to come.
    pub(crate) fn is_quiet(&self) -> bool {
        if !self.plan.upgrades {
            return self.is_begun();
        }
        let inner = self.open();
        let at_rest = |end: End| {
            let (here, there) = (&inner.sides[end as usize], &inner.sides[end.other() as usize]);
            let begun = here.upgraded + here.refused > 0;
            begun && here.lacks(there) == there.dropped() && self.is_ponged(end, here) && here.held == 0 && here.waits == 0
        };
        at_rest(End::Client) && at_rest(End::Server)
    }

    /// Whether its last ping is answered, or need not be: one that came later, of the library's own, may be answered in its place where much is unsent
    /// (RFC 6455 §5.5.3).
    fn is_ponged(&self, end: End, here: &Side) -> bool {
        let [here_too, there] = [end, end.other()].map(|end| &self.plan.ends[end as usize]);
        here.ponged == here.pinged || here_too.ping.is_some() && there.floods
    }

    /// What must be so in a kind network once all is quiet, before anybody closes.
    pub(crate) fn judge_quiet(&self) {
        let mut inner = self.open();
        let inner = &mut *inner;
        if self.has_made_room(&inner.sides) {
            return;
        }
        let mut wrong = Vec::new();
        for end in [End::Client, End::Server] {
            let (here, there) = (&inner.sides[end as usize], &inner.sides[end.other() as usize]);
            if here.upgraded != usize::from(self.plan.upgrades) {
                wrong.push(format!("{end:?}: not upgraded: {}", here.refused));
                continue;
            }
            if !self.plan.upgrades {
                continue;
            }
            if let Some(closed) = here.closed.first() {
                wrong.push(format!("{end:?}: closed, and nobody has: {closed:?}"));
            }
            if here.lacks(there) != there.dropped() {
                wrong.push(format!(
                    "{end:?}: {} messages heard or passed over, {} passed over, {} were sent, {} are told to be dropped",
                    here.heard,
                    here.missed,
                    there.said.len(),
                    there.dropped()
                ));
            }
            if !self.is_ponged(end, here) {
                wrong.push(format!("{end:?}: the last ping was not answered: {} of {}", here.ponged, here.pinged));
            }
            if here.flooded {
                wrong.push(format!("{end:?}: more than the soft limit was unsent, and no Drained was told"));
            }
            if here.said.iter().any(|said| said.awaits && !said.is_written() && !said.is_dropped()) {
                wrong.push(format!("{end:?}: a message was not told to be written"));
            }
        }
        for what in wrong {
            inner.wrong(format_args!("quiet: {what}"));
        }
    }
}
