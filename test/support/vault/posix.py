# Carries out steps on files, as the suite of POSIX behaviour writes them, and says what each gave: JSON in, JSON out.
# Each case has a directory of its own below the root that is the argument. A step is a verb with words; `as UID` in front
# runs it as that user. What a step gives is `ok`, a value, or the name of the error.
import ctypes, errno, fcntl, json, mmap, os, stat, sys

libc = ctypes.CDLL(None, use_errno=True)
flags = lambda text: sum(getattr(os, word) for word in set(text.split('|'))) if text != '-' else 0


def call(number):
    if number < 0:
        raise OSError(ctypes.get_errno(), '')
    return number


class Case:
    def __init__(self):
        self.fds = {}

    def run(self, words):
        return getattr(self, 'do_' + words[0].replace('-', '_'))(*words[1:])

    # making and removing
    def do_create(self, path, mode='644'):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, int(mode, 8)))

    def do_put(self, path, text):
        with open(path, 'w') as file:
            file.write(text)

    def do_mkdir(self, path, mode='755'):
        os.mkdir(path, int(mode, 8))

    def do_mkfifo(self, path, mode='644'):
        os.mkfifo(path, int(mode, 8))

    def do_mksock(self, path):
        os.mknod(path, stat.S_IFSOCK | 0o644)

    def do_symlink(self, target, path):
        os.symlink(target, path)

    def do_link(self, source, path):
        os.link(source, path, follow_symlinks=False)

    def do_unlink(self, path):
        os.unlink(path)

    def do_rmdir(self, path):
        os.rmdir(path)

    def do_rename(self, old, new):
        os.rename(old, new)

    def do_rename2(self, old, new, kind):
        number = {'noreplace': 1, 'exchange': 2}[kind]
        call(libc.renameat2(-100, os.fsencode(old), -100, os.fsencode(new), number))

    # looking
    def do_cat(self, path):
        with open(path) as file:
            return file.read()

    def do_stat(self, path, field):
        return self.field(os.stat(path), field)

    def do_lstat(self, path, field):
        return self.field(os.lstat(path), field)

    def field(self, found, field):
        kinds = {stat.S_IFREG: 'file', stat.S_IFDIR: 'dir', stat.S_IFLNK: 'link', stat.S_IFIFO: 'fifo', stat.S_IFSOCK: 'sock'}
        values = {
            'kind': lambda: kinds[stat.S_IFMT(found.st_mode)],
            'mode': lambda: oct(stat.S_IMODE(found.st_mode))[2:],
            'owner': lambda: '%d:%d' % (found.st_uid, found.st_gid),
            'nlink': lambda: str(found.st_nlink),
            'size': lambda: str(found.st_size),
            'mtime': lambda: str(int(found.st_mtime)),
            'atime': lambda: str(int(found.st_atime)),
        }
        return values[field]()

    def do_same(self, a, b):
        return str(os.path.samefile(a, b)).lower()

    def do_list(self, path):
        return ','.join(sorted(os.listdir(path)))

    def do_many(self, path, count):
        for i in range(int(count)):
            os.close(os.open('%s/f%05d' % (path, i), os.O_CREAT | os.O_WRONLY, 0o644))

    def do_count(self, path):
        return str(len(set(os.listdir(path))))

    def do_readlink(self, path):
        return os.readlink(path)

    def do_access(self, path, how):
        ok = os.access(path, {'r': os.R_OK, 'w': os.W_OK, 'x': os.X_OK, 'f': os.F_OK}[how], effective_ids=True)
        return 'yes' if ok else 'no'

    def do_statfs(self, path):
        return 'room' if os.statvfs(path).f_blocks > 0 else 'none'

    # changing
    def do_chmod(self, path, mode):
        os.chmod(path, int(mode, 8))

    def do_chown(self, path, uid, gid):
        os.chown(path, int(uid), int(gid))

    def do_lchown(self, path, uid, gid):
        os.lchown(path, int(uid), int(gid))

    def do_utime(self, path, atime, mtime):
        os.utime(path, (int(atime), int(mtime)))

    def do_lutime(self, path, atime, mtime):
        os.utime(path, (int(atime), int(mtime)), follow_symlinks=False)

    def do_truncate(self, path, size):
        os.truncate(path, int(size))

    # open files
    def do_open(self, name, path, how, mode='644'):
        self.fds[name] = os.open(path, flags(how), int(mode, 8))

    def do_close(self, name):
        os.close(self.fds.pop(name))

    def do_write(self, name, text):
        return str(os.write(self.fds[name], text.encode()))

    def do_pwrite(self, name, text, at):
        return str(os.pwrite(self.fds[name], text.encode(), int(at)))

    def do_read(self, name, size):
        return os.read(self.fds[name], int(size)).decode()

    def do_pread(self, name, size, at):
        return os.pread(self.fds[name], int(size), int(at)).replace(b'\0', b'.').decode()

    def do_seek(self, name, at, whence):
        return str(os.lseek(self.fds[name], int(at), getattr(os, 'SEEK_' + whence)))

    def do_fstat(self, name, field):
        return self.field(os.fstat(self.fds[name]), field)

    def do_ftruncate(self, name, size):
        os.ftruncate(self.fds[name], int(size))

    def do_fchmod(self, name, mode):
        os.fchmod(self.fds[name], int(mode, 8))

    def do_fsync(self, name):
        os.fsync(self.fds[name])

    def do_fdatasync(self, name):
        os.fdatasync(self.fds[name])

    def do_fallocate(self, name, at, size):
        os.posix_fallocate(self.fds[name], int(at), int(size))

    def do_punch(self, name, at, size):
        call(libc.fallocate(self.fds[name], 3, ctypes.c_long(int(at)), ctypes.c_long(int(size))))

    def do_copy(self, source, target, size):
        return str(os.copy_file_range(self.fds[source], self.fds[target], int(size), 0, 0))

    def do_sendfile(self, source, target, size):
        return str(os.sendfile(self.fds[target], self.fds[source], 0, int(size)))

    def do_fchdir(self, name):
        os.fchdir(self.fds[name])

    def do_flock(self, name, how):
        fcntl.flock(self.fds[name], sum(getattr(fcntl, 'LOCK_' + word) for word in how.split('|')))

    def do_lockf(self, name, how, length, start):
        fcntl.lockf(self.fds[name], sum(getattr(fcntl, 'LOCK_' + word) for word in how.split('|')), int(length), int(start))

    def do_map_write(self, name, text, at):
        with mmap.mmap(self.fds[name], 0) as seen:
            seen[int(at):int(at) + len(text)] = text.encode()
            seen.flush()

    def do_map_read(self, name, at, size):
        with mmap.mmap(self.fds[name], 0, prot=mmap.PROT_READ) as seen:
            return seen[int(at):int(at) + int(size)].decode()

    # extended attributes
    def do_setxattr(self, path, name, value, how='0'):
        os.setxattr(path, name, value.encode(), int(how))

    def do_getxattr(self, path, name):
        return os.getxattr(path, name).decode()

    def do_listxattr(self, path):
        return ','.join(sorted(name for name in os.listxattr(path) if name.startswith('user.')))

    def do_removexattr(self, path, name):
        os.removexattr(path, name)


def carry_out(case, words):
    uid = None
    if words[0] == 'as':
        uid, words = int(words[1]), words[2:]
    try:
        if uid is not None:
            os.setgroups([])
            os.setegid(uid)
            os.seteuid(uid)
        try:
            given = case.run(words)
        finally:
            if uid is not None:
                os.seteuid(0)
                os.setegid(0)
        return 'ok' if given is None else given
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error))


root = sys.argv[1]
os.umask(0o022)
answers = []
for number, steps in enumerate(json.load(sys.stdin)):
    place = '%s/%d' % (root, number)
    os.mkdir(place, 0o777)
    os.chmod(place, 0o777)
    os.chdir(place)
    case = Case()
    answers.append([carry_out(case, step) for step in steps])
    for fd in case.fds.values():
        os.close(fd)
os.chdir('/')
json.dump(answers, sys.stdout)
