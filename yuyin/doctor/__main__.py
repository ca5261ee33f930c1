"""The child of `yuyin.doctor.examine`."""

import sys

from yuyin.doctor.examine import answer_from

if __name__ == "__main__":
    answer_from(sys.argv[1:])
