"""The revisions, each a step from one release's tables to the next one's."""
