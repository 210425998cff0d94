"""One file per way of judging an answer; each is a function of the reference, the answer and what they run on."""
