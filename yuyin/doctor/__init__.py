"""A machine and its store in, one finding per thing that YuYin needs of them out; nothing is changed."""
