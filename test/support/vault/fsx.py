# Random operations on one file through several descriptors that take different ways into the kernel, beside what the file has to
# be: argv[1] the file, argv[2] where what it has to be is kept when it ends, argv[3] how many operations, argv[4] the seed.
# Says the number of each operation that was answered, `torn ...` for what is not as it has to be, `refused ERRNO OPERATION` when it
# may not go on. Kept are two files: before the operation that was under way, and after it.
import ctypes, mmap, os, random, sys

path, kept, count, seed = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
MOST = 256 << 10
libc = ctypes.CDLL(None, use_errno=True)
rng = random.Random(seed)
model, after = bytearray(), bytearray()
open(path, 'wb').close()
both = os.open(path, os.O_RDWR)
only = os.open(path, os.O_WRONLY)
read = os.open(path, os.O_RDONLY)
more = os.open(path, os.O_WRONLY | os.O_APPEND)
aside = os.memfd_create('aside')


def torn(what, found):
    print('torn', what, len(found), len(model), flush=True)
    sys.exit(1)


def octets():
    return rng.randbytes(rng.choice([1, 17, 512, 4095, 4096, 4097, 20000, 65536]))


def put(at, what):
    if at > len(after):
        after.extend(bytes(at - len(after)))
    after[at : at + len(what)] = what


def answered(fd, what, at, done):
    # The kernel may send one write in several requests, and answers with what was done when the server goes away between two.
    # Then what was answered is what the file was before, and the rest has to be refused.
    global model
    if done == len(what):
        return
    model = bytearray(model)
    model.extend(bytes(max(0, at - len(model))))
    model[at : at + done] = what[:done]
    os.pwrite(fd, what[done:], at + done)
    torn('short write', what)


def write():
    what, at = octets(), rng.randrange(MOST - 65536)
    put(at, what)
    fd = rng.choice([both, only])
    answered(fd, what, at, os.pwrite(fd, what, at))


def append():
    if len(model) < MOST:
        what, at = octets(), len(model)
        put(at, what)
        answered(only, what, at, os.write(more, what))


def look():
    at = rng.randrange(MOST)
    found = os.pread(rng.choice([both, read]), rng.choice([1, 4096, 40000]), at)
    if found != bytes(model[at : at + len(found)]) or (found == b'' and at < len(model)):
        torn('read', found)


def look_at_all():
    found = b''
    while part := os.pread(read, 1 << 20, len(found)):
        found += part
    if found != bytes(model) or os.fstat(both).st_size != len(model):
        torn('whole', found)


def store():
    # Within one page, and told to the file: what is only in memory may be lost. The kernel copies from and to the mapping, so that a
    # page that nobody gives is EFAULT and not SIGBUS.
    if len(model) == 0:
        return
    at = rng.randrange(len(model))
    end = min(len(model), (at // 4096 + 1) * 4096, at + rng.randrange(1, 4096))
    what = rng.randbytes(end - at)
    put(at, what)
    if os.fstat(both).st_size != len(model):
        torn('size', b'')
    with mmap.mmap(both, len(model)) as seen, memoryview(seen) as view:
        if rng.random() < 0.5:
            done = 0
            while done < len(view):
                with view[done:] as rest:
                    done += os.pwrite(aside, rest, done)
            found = os.pread(aside, len(model), 0)
            if found != bytes(model):
                torn('mapped', found)
        os.pwrite(aside, what, 0)
        with view[at:end] as place:
            os.preadv(aside, [place], 0)
        seen.flush(at // 4096 * 4096, min(4096, len(model) - at // 4096 * 4096))


def cut():
    size = rng.randrange(MOST)
    if size < len(after):
        del after[size:]
    else:
        after.extend(bytes(size - len(after)))
    if rng.random() < 0.5:
        os.ftruncate(rng.choice([both, only]), size)
    else:
        os.truncate(path, size)


def punch():
    if len(model) < 2:
        return
    at = rng.randrange(len(model) - 1)
    size = rng.randrange(1, len(model) - at)
    put(at, bytes(size))
    # PUNCH_HOLE | KEEP_SIZE
    if libc.fallocate(both, 3, ctypes.c_long(at), ctypes.c_long(size)) != 0:
        raise OSError(ctypes.get_errno(), 'fallocate')


def copy():
    if len(model) < 8192:
        return
    size = rng.randrange(1, 4096)
    at, to = rng.randrange(0, 4096 - size + 1), rng.randrange(4096, len(model) - size + 1)
    put(to, bytes(model[at : at + size]))
    if os.copy_file_range(read, both, size, at, to) != size:
        torn('short copy', b'')


def sync():
    os.fsync(both)


STEPS = [(write, 8), (append, 2), (look, 8), (look_at_all, 1), (store, 4), (cut, 2), (punch, 1), (copy, 1)]
steps = [step for step, weight in STEPS for _ in range(weight)]
try:
    for number in range(count):
        step = rng.choice(steps)
        step()
        model = bytearray(after)
        print(number, flush=True)
        if rng.random() < 0.02:
            step = sync
            step()
    step = look_at_all
    look_at_all()
except OSError as error:
    print('refused', error.errno, step.__name__, flush=True)
for name, content in (('before', model), ('after', after)):
    with open(kept + '.' + name, 'wb') as file:
        file.write(content)
os._exit(0)
