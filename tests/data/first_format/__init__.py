"""What the first format of the spool and of bookmarks left on disk, for every later one to deliver whole."""
