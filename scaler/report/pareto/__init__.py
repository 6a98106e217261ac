"""Which networks no other beats: the table, its file formats, and published networks beside it."""
