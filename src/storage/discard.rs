//! A store that keeps nothing, for measuring what everything else costs.
