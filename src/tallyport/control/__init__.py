"""What a person may ask for: one function per verb, one transaction each."""
