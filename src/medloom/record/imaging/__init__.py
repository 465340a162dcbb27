"""Images of the record: what one is, and how files of any kind become one."""
