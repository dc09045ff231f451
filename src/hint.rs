//! What the compiler is told of the ways through the code.

/// Whether something is so that seldom is: what follows is laid out apart from the usual way, which is the shorter for it.
#[inline(always)]
pub(crate) fn seldom(so: bool) -> bool {
    if so {
        cold();
    }
    so
}

#[cold]
#[inline(always)]
fn cold() {}
