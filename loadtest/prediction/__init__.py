"""What a predicted text is worth: answers to requests for an edit, with and without one."""
