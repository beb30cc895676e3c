# Writes blocks of 4 KiB, each full of its own number, and says the number once write(2) has answered, until it is refused, or it has
# written as many as argv[2] says.
import os, sys

fd = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY, 0o644)
number = 0
try:
    while number < int(sys.argv[2]):
        os.pwrite(fd, number.to_bytes(8, 'little') * 512, number * 4096)
        print(number, flush=True)
        number += 1
    print('done', flush=True)
except OSError as error:
    print('refused', error.errno, flush=True)
