//! Frames ⇄ stages ⇄ frame handler.
