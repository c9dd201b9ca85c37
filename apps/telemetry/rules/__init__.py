"""What spans say, in whichever words."""
