//! Hand-made runs, and what is written about them.
