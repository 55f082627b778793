#!/usr/bin/perl
# Processes, pipes, sockets, sorting, dates, temporary files and the modules that come with Perl.
# needs: perl
use strict;
use warnings;
use Digest::SHA qw(sha256_hex);
use Encode;
use Fcntl qw(:flock);
use File::Find;
use File::Temp qw(tempfile tempdir);
use IO::Select;
use IO::Socket::INET;
use IO::Socket::UNIX;
use IPC::Open3;
use List::Util qw(sum);
use POSIX qw(strftime :sys_wait_h);
use Storable qw(dclone);
use Time::HiRes qw(usleep);

print "sum ", sum(map { $_ * $_ } 1 .. 100), "\n";
print "sha ", substr(sha256_hex(encode('UTF-8', "\x{263a}")), 0, 16), "\n";
my $server = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1') or die "listen: $!";
my $child = fork() // die "fork: $!";
if ($child == 0) {
    my $to = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $server->sockport) or POSIX::_exit(1);
    print $to "line $_\n" for 1 .. 3;
    close $to;
    POSIX::_exit(7);
}
my $from = $server->accept or die "accept: $!";
print "heard $_" while <$from>;
waitpid $child, 0;
print "status ", WEXITSTATUS($?), "\n";
my $pid = open3(my $in, my $out, undef, 'sort', '-n');
print $in "$_\n" for 3, 1, 2;
close $in;
print "sorted ", join(',', map { chomp; $_ } <$out>), "\n";
waitpid $pid, 0;
my $dir = tempdir(CLEANUP => 1);
my $unix = IO::Socket::UNIX->new(Local => "$dir/s", Listen => 1) or die "unix: $!";
print "unix ", (-S "$dir/s" ? 'yes' : 'no'), "\n";
my ($file, $name) = tempfile(DIR => $dir);
flock $file, LOCK_EX or die;
print "time ", strftime('%Y-%m-%d', gmtime 0), "\n";
local $SIG{ALRM} = sub { die "alarm\n" };
eval { alarm 1; select undef, undef, undef, 5; };
print "got $@";
my $copy = dclone({ a => [1, 2] });
print "clone $copy->{a}[1] ", `echo shell`;
my $count = 0;
find(sub { $count++ if /\.h$/ }, "$ENV{SOURCE}/src/base");
print "found ", ($count > 3 ? 'some' : 'none'), "\n";
