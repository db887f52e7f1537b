"""What a person must answer: kept, handed out, closed, and told to whoever waits."""
