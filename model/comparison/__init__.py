"""Every published system on one data set, trained alike and put side by side: the paper's tables."""
