"""Files and dictionaries of prices that the application gives: read, checked as a whole, frozen."""
