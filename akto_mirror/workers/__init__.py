"""One proxy in several processes: the parent that starts and replaces workers, and what makes a mitmdump a worker."""
