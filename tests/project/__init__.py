"""The project itself: packages, locks, README, first runs."""
