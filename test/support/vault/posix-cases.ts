// Cases of POSIX behaviour, a line each: steps between semicolons, after `=` what a step gives other than `ok`. The second
// table is made: every operation on every kind of thing that can stand at a path, where the bare directory says what is right.

export const CASES: readonly string[] = `
create a; lstat a kind = file; lstat a size = 0; lstat a nlink = 1
create a 600; lstat a mode = 600
create a 666; lstat a mode = 644
create a 4755; lstat a mode = 4755
create a; create a = EEXIST
mkdir d; create d/a; lstat d/a kind = file
create d/a = ENOENT
create a; create a/b = ENOTDIR
as 1000 create a; lstat a owner = 1000:1000
as 1000 mkdir d; lstat d owner = 1000:1000
as 1000 symlink x l; lstat l owner = 1000:1000
as 1000 mkfifo p; lstat p owner = 1000:1000
mkdir d 2775; chown d 0 50; chmod d 2777; as 1000 create d/a; lstat d/a owner = 1000:50
mkdir d; chown d 0 50; chmod d 2777; as 1000 mkdir d/e; lstat d/e owner = 1000:50; lstat d/e mode = 2755
mkdir d; lstat d kind = dir; lstat d mode = 755
mkdir d 700; lstat d mode = 700
mkdir d 1777; lstat d mode = 1755
mkdir d; mkdir d = EEXIST
create a; mkdir a = EEXIST
symlink x l; mkdir l = EEXIST
mkdir d; rmdir d; lstat d kind = ENOENT
mkdir d; create d/a; rmdir d = ENOTEMPTY
mkdir d; mkdir d/e; rmdir d = ENOTEMPTY; rmdir d/e; rmdir d
create a; rmdir a = ENOTDIR
rmdir d = ENOENT
mkdir d; unlink d = EISDIR
create a; unlink a; unlink a = ENOENT
symlink x l; unlink l; lstat l kind = ENOENT
mkfifo p; lstat p kind = fifo; unlink p
mkfifo p 640; lstat p mode = 640
mksock s; lstat s kind = sock
mkfifo p; mkfifo p = EEXIST
symlink target l; readlink l = target; lstat l kind = link; lstat l size = 6
symlink /an/absolute/one l; readlink l = /an/absolute/one
symlink ../.. l; readlink l = ../..
symlink a l; stat l kind = ENOENT; put a x; stat l kind = file; cat l = x
symlink a l; symlink b l = EEXIST
symlink l l; stat l kind = ELOOP; lstat l kind = link
symlink b a; symlink a b; cat a = ELOOP
mkdir d; put d/a x; symlink d l; cat l/a = x; list l = a
mkdir d; symlink d l; rmdir l = ENOTDIR; unlink l; lstat d kind = dir
create a; readlink a = EINVAL
mkdir d; readlink d = EINVAL
put a x; link a b; cat b = x; lstat a nlink = 2; same a b = true
put a x; link a b; unlink a; cat b = x; lstat b nlink = 1
put a x; link a b; put b y; cat a = y
put a x; link a b; chmod b 600; lstat a mode = 600
put a x; link a b; truncate b 0; lstat a size = 0
put a x; link a b; link b c; unlink b; lstat c nlink = 2; same a c = true
put a x; link a b; rename a b; lstat a kind = file; lstat b nlink = 2
put a x; mkdir d; link a d/a; rename a b; cat d/a = x; same b d/a = true
create a; create b; link a b = EEXIST
link a b = ENOENT
mkdir d; link d e = EPERM
symlink x l; link l m; readlink m = x; lstat l nlink = 2
create a; link a d/b = ENOENT
put a x; rename a b; cat b = x; lstat a kind = ENOENT
put a x; put b y; rename a b; cat b = x; lstat a kind = ENOENT
put a x; rename a a; cat a = x
rename a b = ENOENT
mkdir d; put d/a x; rename d e; cat e/a = x; lstat d kind = ENOENT
mkdir d; mkdir e; rename d e; list . = e
mkdir d; mkdir e; create e/a; rename d e = ENOTEMPTY
mkdir d; create a; rename d a = ENOTDIR
mkdir d; create a; rename a d = EISDIR
mkdir d; rename d d/e = EINVAL
mkdir d; mkdir d/e; rename d/e d = ENOTEMPTY
mkdir d; put d/a x; rename d/a a; cat a = x; rmdir d
mkdir d; mkdir e; put d/a x; rename d/a e/b; cat e/b = x; list d =
mkdir d; mkdir d/e; put d/e/a x; rename d f; rename f/e g; cat g/a = x; rmdir f
symlink x l; rename l m; readlink m = x
put a x; symlink a l; put b y; rename b l; lstat l kind = file; cat l = y
put a x; put b y; rename2 a b noreplace = EEXIST; cat b = y
put a x; rename2 a b noreplace; cat b = x
put a x; put b y; rename2 a b exchange; cat a = y; cat b = x
mkdir d; put d/x 1; put a y; rename2 d a exchange; cat a/x = 1; cat d = y
put a x; rename2 a b exchange = ENOENT
put a x; open f a O_RDONLY; rename a b; read f 1 = x; fstat f nlink = 1
mkdir d; put d/a x; open f d/a O_RDWR; rename d e; pwrite f y 0 = 1; cat e/a = y
put a abc; open f a O_RDWR; unlink a; read f 3 = abc; fstat f nlink = 0; pwrite f x 0 = 1; pread f 3 0 = xbc
put a abc; open f a O_RDWR; unlink a; ftruncate f 1; fstat f size = 1; put a new; pread f 9 0 = a; cat a = new
put a abc; open f a O_RDONLY; put b y; rename b a; read f 3 = abc; cat a = y
put a abc; open f a O_RDWR; unlink a; fchmod f 600; fstat f mode = 600
put a abc; open f a O_RDONLY; unlink a; create a; unlink a; create a; lstat a size = 0; read f 3 = abc
mkdir d; open f d O_RDONLY; rmdir d; fstat f nlink = 0; lstat d kind = ENOENT
mkdir d; open f d O_RDONLY; rmdir d; fchdir f; create a = ENOENT; list . =
chmod . 777; create a 644; chmod a 600; lstat a mode = 600
create a; chmod a 7777; lstat a mode = 7777
create a; as 1000 chmod a 777 = EPERM
as 1000 create a; as 1000 chmod a 600; lstat a mode = 600
chmod a 600 = ENOENT
create a; symlink a l; chmod l 600; lstat a mode = 600
as 1000 create a; as 1000 chown a 1001 1000 = EPERM
as 1000 create a; as 1000 chown a 1000 1001 = EPERM
create a; chown a 1000 1001; lstat a owner = 1000:1001
create a; chown a 1000 -1; lstat a owner = 1000:0
create a; chown a -1 1001; lstat a owner = 0:1001
create a; symlink a l; lchown l 7 8; lstat l owner = 7:8; lstat a owner = 0:0
create a 4755; as 1000 chown a 1000 1000 = EPERM; chown a 1000 1000; lstat a mode = 755
put a x; chmod a 4777; as 1000 open f a O_WRONLY; as 1000 write f y = 1; close f; lstat a mode = 777
put a x; chmod a 6777; as 1000 truncate a 0; lstat a mode = 777
put a x; utime a 1000 2000; lstat a atime = 1000; lstat a mtime = 2000
put a x; symlink a l; lutime l 1000 2000; lstat l mtime = 2000
put a x; symlink a l; utime l 1000 2000; stat a mtime = 2000
put a x; as 1000 utime a 1 2 = EPERM
mkdir d; utime d 5 6; lstat d mtime = 6
put a abcdef; truncate a 3; cat a = abc; lstat a size = 3
put a abc; truncate a 6; open f a O_RDONLY; pread f 9 0 = abc...
put a abc; truncate a 0; truncate a 3; open f a O_RDONLY; pread f 9 0 = ...
truncate a 0 = ENOENT
mkdir d; truncate d 0 = EISDIR
create a 644; as 1000 truncate a 5 = EACCES
put a abc; truncate a -1 = EINVAL
put a abc; open f a O_RDONLY; ftruncate f 1 = EINVAL
put a abc; open f a O_WRONLY; read f 1 = EBADF
put a abc; open f a O_RDONLY; write f x = EBADF
open f a O_RDONLY = ENOENT
put a x; open f a O_CREAT|O_EXCL|O_RDWR = EEXIST
symlink x l; open f l O_CREAT|O_EXCL|O_RDWR = EEXIST; lstat x kind = ENOENT
symlink x l; open f l O_CREAT|O_RDWR; lstat x kind = file
put a x; symlink a l; open f l O_RDONLY|O_NOFOLLOW = ELOOP
put a x; open f a O_RDONLY|O_DIRECTORY = ENOTDIR
mkdir d; open f d O_RDWR = EISDIR
mkdir d; open f d O_RDONLY; read f 1 = EISDIR
put a abc; open f a O_WRONLY|O_TRUNC; fstat f size = 0
put a abc; open f a O_RDWR|O_APPEND; write f d = 1; pread f 9 0 = abcd
put a abc; open f a O_WRONLY|O_APPEND; open g a O_WRONLY|O_APPEND; write f 1 = 1; write g 2 = 1; write f 3 = 1; cat a = abc123
put a abc; open f a O_WRONLY|O_SYNC; write f x = 1; cat a = xbc
put a abc; open f a O_WRONLY|O_DSYNC; write f x = 1; cat a = xbc
create a 0; as 1000 open f a O_RDONLY = EACCES
create a 600; as 1000 open f a O_RDONLY = EACCES; as 1000 open f a O_WRONLY = EACCES
create a 644; as 1000 open f a O_RDONLY; as 1000 open g a O_RDWR = EACCES
create a 622; chmod a 622; as 1000 open f a O_WRONLY; as 1000 open g a O_RDONLY = EACCES
create a; chown a 0 1000; chmod a 640; as 1000 open f a O_RDONLY; as 1001 open g a O_RDONLY = EACCES
as 1000 open f a O_CREAT|O_RDWR 0; as 1000 write f x = 1; as 1000 open g a O_RDONLY = EACCES
mkdir d 700; create d/a; as 1000 lstat d/a kind = EACCES; as 1000 open f d/a O_RDONLY = EACCES
mkdir d 755; as 1000 create d/a = EACCES; as 1000 mkdir d/e = EACCES; as 1000 symlink x d/l = EACCES
mkdir d 755; create d/a; as 1000 unlink d/a = EACCES; as 1000 rename d/a b = EACCES
mkdir d; chmod d 1777; create d/a; as 1000 unlink d/a = EPERM; as 1000 rename d/a d/b = EPERM
mkdir d; chmod d 1777; as 1000 create d/a; as 1001 unlink d/a = EPERM; as 1000 unlink d/a
mkdir d; chmod d 711; create d/a; as 1000 list d = EACCES; as 1000 lstat d/a kind = file
mkdir d; chmod d 744; create d/a; as 1000 list d = a; as 1000 lstat d/a kind = EACCES
create a 644; as 1000 access a r = yes; as 1000 access a w = no; access a f = yes; access b f = no
create a 755; as 1000 access a x = yes; chmod a 644; as 1000 access a x = no
put a hello; open f a O_RDONLY; read f 2 = he; read f 9 = llo; read f 9 =
put a hello; open f a O_RDWR; seek f 2 SET = 2; write f X = 1; read f 9 = lo; cat a = heXlo
put a hello; open f a O_RDWR; seek f 0 END = 5; write f ! = 1; cat a = hello!
put a hello; open f a O_RDWR; pwrite f ! 7 = 1; pread f 9 0 = hello..!
put a hello; open f a O_RDWR; seek f -1 SET = EINVAL
put a hello; open f a O_RDONLY; pread f 3 100 =
put a 1; open f a O_RDWR; open g a O_RDWR; pwrite f 2 0 = 1; pread g 1 0 = 2; pwrite g 3 0 = 1; pread f 1 0 = 3; cat a = 3
open f a O_CREAT|O_RDWR; ftruncate f 1048576; pwrite f x 1000000 = 1; fstat f size = 1048576; pread f 3 999999 = .x.
open f a O_CREAT|O_RDWR; ftruncate f 8388608; pwrite f x 4194304 = 1; seek f 0 DATA = 4194304; seek f 0 HOLE = 0; seek f 5000000 DATA = ENXIO
open f a O_CREAT|O_RDWR; fallocate f 0 65536; fstat f size = 65536; pread f 3 100 = ...
put a hello; open f a O_RDWR; fallocate f 0 3; fstat f size = 5; cat a = hello
put a hello; open f a O_RDWR; punch f 0 4096; fstat f size = 5; pread f 5 0 = .....
put a hello; open f a O_RDONLY; fallocate f 0 10 = EBADF
put a hello; open f a O_RDONLY; open g b O_CREAT|O_RDWR; copy f g 3 = 3; cat b = hel
put a hello; open f a O_RDONLY; open g b O_CREAT|O_RDWR; copy f g 100 = 5; cat b = hello
put a hello; open f a O_RDONLY; open g a O_RDONLY; copy f g 3 = EBADF
put a hello; open f a O_RDONLY; open g b O_CREAT|O_RDWR; sendfile f g 5 = 5; cat b = hello
put a hello; open f a O_RDWR; write f J = 1; fsync f; fdatasync f; cat a = Jello
mkdir d; open f d O_RDONLY; fsync f
put a hello; open f a O_RDWR; map-write f HE 0; cat a = HEllo
put a hello; open f a O_RDWR; map-read f 1 3 = ell; pwrite f XYZ 1 = 3; map-read f 1 3 = XYZ
put a hello; open f a O_RDWR; map-write f HE 0; pread f 5 0 = HEllo; fsync f; cat a = HEllo
put a x; open f a O_RDWR; open g a O_RDWR; flock f EX; flock g EX|NB = EAGAIN; flock f UN; flock g EX|NB
put a x; open f a O_RDWR; open g a O_RDWR; flock f SH; flock g SH|NB; flock g EX|NB = EAGAIN
put a x; open f a O_RDWR; flock f EX; close f; open g a O_RDWR; flock g EX|NB
put a x; open f a O_RDWR; lockf f EX|NB 1 0; lockf f UN 1 0
put a x; setxattr a user.one 1; getxattr a user.one = 1; listxattr a = user.one
put a x; setxattr a user.one 1; setxattr a user.one 2; getxattr a user.one = 2
put a x; setxattr a user.one 1 1; setxattr a user.one 2 1 = EEXIST
put a x; setxattr a user.one 1 2 = ENODATA
put a x; getxattr a user.one = ENODATA; removexattr a user.one = ENODATA
put a x; setxattr a user.one 1; setxattr a user.two 2; removexattr a user.one; listxattr a = user.two
put a x; setxattr a user.one 1; link a b; getxattr b user.one = 1; rename a c; getxattr c user.one = 1
mkdir d; setxattr d user.one 1; getxattr d user.one = 1
put a x; chmod a 644; as 1000 setxattr a user.one 1 = EACCES; as 1000 getxattr a user.one = ENODATA
mkdir d; list d =; create d/a; create d/b; list d = a,b; unlink d/a; list d = b
mkdir d; many d 1500; count d = 1500; unlink d/f00700; count d = 1499
mkdir d; mkdir d/e; mkdir d/e/f; lstat d nlink = 3; rmdir d/e/f; rmdir d/e; lstat d nlink = 2
list a = ENOENT
create a; list a = ENOTDIR
statfs . = room
create a; statfs a = room
create -; create --; create ...; create ..a; list . = -,--,...,..a
create é; create ü; list . = é,ü
create a%20b; create a\\b; list . = a%20b,a\\b
create ${'n'.repeat(255)}; lstat ${'n'.repeat(255)} kind = file
create ${'n'.repeat(256)} = ENAMETOOLONG
mkdir ${'n'.repeat(256)} = ENAMETOOLONG
symlink x ${'n'.repeat(256)} = ENAMETOOLONG
create a; rename a ${'n'.repeat(256)} = ENAMETOOLONG
create a; link a ${'n'.repeat(256)} = ENAMETOOLONG
lstat ${'n'.repeat(256)} kind = ENAMETOOLONG
symlink ${'t'.repeat(4000)} l; lstat l size = 4000
`
  .trim()
  .split('\n')

/** What can stand at the path `x`, and how it comes there. */
const KINDS = {
  nothing: [],
  file: ['put x abc'],
  'empty directory': ['mkdir x'],
  'full directory': ['mkdir x', 'create x/y'],
  fifo: ['mkfifo x'],
  socket: ['mksock x'],
  'link to a file': ['put t abc', 'symlink t x'],
  'link to a directory': ['mkdir t', 'symlink t x'],
  'link to nothing': ['symlink nowhere x'],
  'link to itself': ['symlink x x'],
  'something below a file': ['put p abc', 'AT p/x'],
  'something below nothing': ['AT q/x'],
  'a locked file': ['create x 0'],
} as const

const OPERATIONS = [
  'create @',
  'mkdir @',
  'mkfifo @',
  'symlink z @',
  'unlink @',
  'rmdir @',
  'rename @ moved',
  'link @ linked',
  'readlink @',
  'lstat @ kind',
  'stat @ kind',
  'chmod @ 750',
  'lchown @ 3 4',
  'lutime @ 3 4',
  'truncate @ 2',
  'list @',
  'setxattr @ user.k v',
  'open f @ O_RDONLY|O_NONBLOCK',
  'open f @ O_WRONLY|O_TRUNC|O_NONBLOCK',
  'as 1000 open f @ O_RDONLY|O_NONBLOCK',
  'as 1000 unlink @',
] as const

/** Every operation on every kind, then what is there after it. */
export const PRODUCT: readonly { readonly name: string; readonly steps: readonly string[] }[] = Object.entries(
  KINDS,
).flatMap(([kind, made]) =>
  OPERATIONS.map((operation) => {
    const at = made.find((step) => step.startsWith('AT '))?.slice(3) ?? 'x'
    return {
      name: `${operation.replace('@', '').trim()} on ${kind}`,
      steps: [
        ...made.filter((step) => !step.startsWith('AT ')),
        operation.replace('@', at),
        'list .',
        `lstat ${at} kind`,
      ],
    }
  }),
)
