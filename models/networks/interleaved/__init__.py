"""The family of 3FabRec and SCAF: encoder, decoder, and interleaved transfer layers through it."""
