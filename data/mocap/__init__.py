"""Motion capture as training and test data: collections of labelled clips in the Human3.6M joint set."""
