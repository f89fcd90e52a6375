"""One file per revision, in order. A published revision is never edited."""
