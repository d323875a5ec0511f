"""The revisions, one file each. One that was released is never changed again."""
