#!/usr/bin/env perl
# A node of another make: one file, another language, nothing but what comes with Perl, and written
# from spec/MultiPaxos.tla alone.  It shows that the harness holds to the specification and not to
# impl/; so it has no line from there, and no --log and no --data.
#
#   perl tests/nodes/multipaxos.pl [--manual-clock] [--batch N]
#
# Subroutines are named after the operators and actions of the specification.  A value is kept as
# the text of its JSON, a set of slots as the keys of a hash.
use strict;
use warnings;
use B ();
use IO::Handle ();
use JSON::PP ();
use Time::HiRes ();

my ($manual, $batch) = (0, 1000);
while (defined(my $option = shift @ARGV)) {
    if ($option eq '--manual-clock') { $manual = 1 }
    elsif ($option eq '--batch' && @ARGV && $ARGV[0] =~ /^[1-9][0-9]*$/) { $batch = shift @ARGV }
    else { print STDERR "usage: multipaxos.pl [--manual-clock] [--batch N]\n"; exit 2 }
}

my $json = JSON::PP->new->utf8->ascii->allow_nonref;
my $HIGHEST = '9223372036854775807';
my $DEEPEST = 128;
my $VALUE_BYTES = 1 << 20;

my ($me, @members, %member, @peers);
# Durable.
my ($promised, %accepted, %decided) = (0);
# Volatile.
my ($up, $ballot, %promises, %reported, %closed, %votes, @waiting, %versions) = (1, 0);
my $replies = 0;

# What is said.

sub send_to {
    my ($nodes, $body) = @_;
    print envelope($_, $body) for @$nodes;
}

sub reply {
    my ($client, $body) = @_;
    print envelope($client, sprintf '%s,"msg_id":%d', $body, $replies++);
}

sub envelope {
    my ($dest, $body) = @_;
    return sprintf "{\"src\":%s,\"dest\":%s,\"body\":{\"type\":%s}}\n",
        $json->encode($me), $json->encode($dest), $body;
}

sub fail {
    my ($client, $msg_id, $code, $text) = @_;
    reply($client, qq("error","in_reply_to":$msg_id,"code":$code,"text":) . $json->encode($text));
}

sub propose_ok {
    my ($w, $skipped, $value) = @_;
    reply($w->{src}, sprintf '"multi_paxos_propose_ok","in_reply_to":%s,"slot":%s,'
        . '"phase1_skipped":%s,"chosen":true,"value":%s',
        $w->{msg_id}, $w->{slot}, $skipped ? 'true' : 'false', $value);
}

sub prepare { return qq("prepare","ballot":$ballot,"known":) . ranges(keys %decided) }
sub learn { return '"learn","known":' . ranges(keys %decided) }

sub accept_ {
    my ($slot) = @_;
    return qq("accept","ballot":$ballot,"slot":$slot,"value":$accepted{$slot}{value});
}

# Sets of slots.

sub ascending { return sort { $a <=> $b } @_ }

sub ranges {
    my @found;
    for my $slot (ascending(@_)) {
        if (@found && $found[-1][1] == $slot - 1) { $found[-1][1] = $slot }
        else { push @found, [$slot, $slot] }
    }
    return '[' . join(',', map { "[$_->[0],$_->[1]]" } @found) . ']';
}

sub within {
    my ($slot, $known) = @_;
    return grep { $_->[0] <= $slot && $slot <= $_->[1] } @$known;
}

# Membership and ballots.

sub is_quorum { return 2 * @_ > @members }
sub leading { return $ballot > 0 && is_quorum(keys %promises) }
sub in_phase1 { return $ballot > 0 && !is_quorum(keys %promises) }

sub next_ballot {
    my $next = $promised + 1;
    $next++ while $members[($next - 1) % @members] ne $me;
    return $next;
}

sub follow {
    my ($higher) = @_;
    return if $higher <= $promised;
    $promised = $higher;
    forget();
}

sub forget {
    $ballot = 0;
    %promises = %reported = %closed = %votes = ();
}

# The steps that actions are made of.

sub vote_for {
    my ($in, $slot, $value) = @_;
    $accepted{$slot} = {ballot => $in, value => $value};
}

sub decide {
    my ($slot, $value) = @_;
    return if exists $decided{$slot};
    $decided{$slot} = $value;
    delete $_->{$slot} for \(%accepted, %reported, %votes, %closed);
    my @answered = grep { $_->{slot} == $slot } @waiting;
    @waiting = grep { $_->{slot} != $slot } @waiting;
    propose_ok($_, $_->{phase1_skipped}, $value) for @answered;
}

sub count {
    my ($slot, $voter) = @_;
    $votes{$slot}{$voter} = 1;
    return if !is_quorum(keys %{$votes{$slot}});
    my $value = $accepted{$slot}{value};
    decide($slot, $value);
    send_to(\@peers, qq("decided","slot":$slot,"value":$value));
}

sub propose {
    my ($slot, $value) = @_;
    vote_for($ballot, $slot, $value);
    $votes{$slot} = {};
    send_to(\@peers, accept_($slot));
    count($slot, $me);
}

sub serve {
    my ($w) = @_;
    return if exists $votes{$w->{slot}} || exists $closed{$w->{slot}};
    propose($w->{slot}, $w->{value});
}

sub lead {
    my %inherited = %reported;
    %reported = ();
    propose($_, $inherited{$_}{value}) for ascending(grep { !exists $closed{$_} } keys %inherited);
    my @served = @waiting;
    serve($_) for @served;
    send_to(\@peers, learn()) if %closed;
}

sub start_ballot {
    my $next = next_ballot();
    forget();
    $promised = $ballot = $next;
    $promises{$me} = 1;
    %reported = %accepted;
    $_->{phase1_skipped} = 0 for @waiting;
    send_to(\@peers, prepare());
    lead() if is_quorum($me);
}

# Actions: a message is taken.

sub receive_multi_paxos_propose {
    my ($src, $m) = @_;
    my $value = text_of($m->{value});
    my $w = {src => $src, msg_id => $m->{msg_id}, slot => "$m->{slot}", value => $value,
             phase1_skipped => leading(), since => Time::HiRes::time()};
    return propose_ok($w, 1, $decided{$w->{slot}}) if exists $decided{$w->{slot}};
    return if grep { $_->{src} eq $src && "$_->{msg_id}" eq "$w->{msg_id}"
                     && $_->{slot} == $w->{slot} && $_->{value} eq $value } @waiting;
    push @waiting, $w;
    if (leading()) { serve($w) }
    elsif (!in_phase1()) { start_ballot() }
}

sub receive_multi_paxos_log {
    my ($src, $m) = @_;
    my @slots = ascending(keys %decided);
    # Null is absent.
    @slots = grep { $_ >= $m->{from} } @slots if defined $m->{from};
    splice @slots, $m->{limit} if defined $m->{limit} && $m->{limit} < @slots;
    my @log = map { qq({"slot":$_,"value":$decided{$_},"status":"chosen"}) } @slots;
    reply($src, qq("multi_paxos_log_ok","in_reply_to":$m->{msg_id},"log":[) . join(',', @log) . ']');
}

sub receive_prepare {
    my ($src, $m) = @_;
    follow($m->{ballot});
    return send_to([$src], qq("rejected","promised":$promised)) if $m->{ballot} < $promised;
    my @known = @{$m->{known}};
    my @votes = map { qq({"slot":$_,"ballot":$accepted{$_}{ballot},"value":$accepted{$_}{value}}) }
        grep { !within($_, \@known) } ascending(keys %accepted);
    send_to([$src], qq("promise","ballot":$m->{ballot},"accepted":[) . join(',', @votes)
        . '],"known":' . ranges(grep { !within($_, \@known) } keys %decided));
}

sub receive_promise {
    my ($src, $m) = @_;
    return if !in_phase1() || $m->{ballot} != $ballot;
    $promises{$src} = 1;
    for my $vote (@{$m->{accepted}}) {
        my $slot = $vote->{slot};
        next if exists $decided{$slot};
        next if exists $reported{$slot} && $reported{$slot}{ballot} >= $vote->{ballot};
        $reported{$slot} = {ballot => $vote->{ballot}, value => text_of($vote->{value})};
    }
    for my $range (@{$m->{known}}) {
        $closed{$_} = 1 for grep { !exists $decided{$_} } $range->[0] .. $range->[1];
    }
    lead() if is_quorum(keys %promises);
}

sub receive_accept {
    my ($src, $m) = @_;
    my ($in, $slot) = ($m->{ballot}, $m->{slot});
    if (exists $decided{$slot}) {
        send_to([$src], qq("decided","slot":$slot,"value":$decided{$slot}));
    }
    elsif ($in < $promised) {
        send_to([$src], qq("rejected","promised":$promised));
    }
    else {
        follow($in);
        vote_for($in, $slot, text_of($m->{value}));
        send_to([$src], qq("accepted","ballot":$in,"slot":$slot));
    }
}

sub receive_accepted {
    my ($src, $m) = @_;
    count($m->{slot}, $src) if $m->{ballot} == $ballot && exists $votes{$m->{slot}};
}

sub receive_rejected {
    my ($src, $m) = @_;
    follow($m->{promised});
}

sub receive_decided {
    my ($src, $m) = @_;
    decide($m->{slot}, text_of($m->{value}));
}

sub receive_poll {
    my ($src, $m) = @_;
    return if $m->{version} == keys %decided;
    send_to([$src], '"learned","decided":[],"more":true,"version":' . keys %decided);
}

sub receive_learn {
    my ($src, $m) = @_;
    my @missing = ascending(grep { !within($_, $m->{known}) } keys %decided);
    my $more = @missing > $batch ? 'true' : 'false';
    splice @missing, $batch if @missing > $batch;
    my @told = map { qq({"slot":$_,"value":$decided{$_}}) } @missing;
    send_to([$src], '"learned","decided":[' . join(',', @told) . qq(],"more":$more,"version":)
        . keys %decided);
}

sub receive_learned {
    my ($src, $m) = @_;
    decide($_->{slot}, text_of($_->{value})) for @{$m->{decided}};
    if ($m->{more}) { send_to([$src], learn()) }
    else { $versions{$src} = $m->{version} }
}

# Actions: an event.

sub stuck { return grep { $ballot == 0 || exists $closed{$_->{slot}} } @waiting }

sub timeout {
    return start_ballot() if stuck() && !in_phase1();
    return send_to([grep { !$promises{$_} } @peers], prepare()) if in_phase1();
    accept_again(keys %votes);
    send_to(\@peers, learn()) if $ballot == 0 || %closed;
}

sub accept_again {
    for my $slot (ascending(@_)) {
        send_to([grep { !$votes{$slot}{$_} } @peers], accept_($slot));
    }
}

sub repeat {
    my ($overdue) = @_;
    accept_again(grep { within($_, $overdue) } keys %votes);
}

sub inquire {
    send_to([$_], '"poll","version":' . ($versions{$_} // 0)) for @peers;
}

sub expire {
    my $w = shift @waiting or return;
    my $code = exists $accepted{$w->{slot}} ? 0 : 11;
    fail($w->{src}, $w->{msg_id}, $code, 'it was not decided in time');
}

sub crash { forget(); @waiting = (); %versions = (); $up = 0 }

sub restart { $replies = 0; $up = 1 }

# JSON.  What is compared and printed again is a value's text, with its keys in order.  A library
# would print 1.0 as 1 and round what is too long for it, so a number that is no small integer is
# kept as its text.

package Number {
    use overload '""' => sub { ${$_[0]} }, fallback => 1;
}

my %CONSTANTS = (true => JSON::PP::true, false => JSON::PP::false, null => undef);

sub read_json {
    local $_ = shift;
    my $found = read_value(0);
    die 'more than one value' if !/\G\s*\z/;
    return $found;
}

# Reads on from pos of $_.
sub read_value {
    my ($depth) = @_;
    die 'nested too deep' if $depth > 500;
    return read_list(\&read_member, '}', $depth, {}) if /\G\s*\{/gc;
    return read_list(\&read_item, ']', $depth, []) if /\G\s*\[/gc;
    return read_text() if /\G\s*(?=")/gc;
    return $CONSTANTS{$1} if /\G\s*(true|false|null)\b/gc;
    return $1 + 0 if /\G\s*(-?(?:0|[1-9][0-9]{0,17}))(?![0-9.eE])/gc;
    return bless \(my $text = $1), 'Number'
        if /\G\s*(-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?)(?![0-9.eE])/gc;
    die 'not JSON';
}

sub read_list {
    my ($read, $end, $depth, $found) = @_;
    return $found if /\G\s*\Q$end\E/gc;
    do { $read->($found, $depth + 1) } while /\G\s*,/gc;
    return $found if /\G\s*\Q$end\E/gc;
    die 'not JSON';
}

sub read_item { my ($list, $depth) = @_; push @$list, read_value($depth) }

sub read_member {
    my ($object, $depth) = @_;
    /\G\s*/gc;
    my $key = read_text();
    /\G\s*:/gc or die 'not JSON';
    $object->{$key} = read_value($depth);
}

sub read_text {
    /\G"/gc or die 'not JSON';
    my $from = pos() - 1;
    # A group that is repeated within a pattern would match 65,535 times at most.
    1 while /\G(?:[^"\\]+|\\.)/gc;
    /\G"/gc or die 'not JSON';
    return $json->decode(substr $_, $from, pos() - $from);
}

sub text_of {
    my ($x) = @_;
    return '[' . join(',', map { text_of($_) } @$x) . ']' if ref $x eq 'ARRAY';
    return "$x" if ref $x eq 'Number' || defined $x && !ref $x && !is_text($x);
    return $json->encode($x) if ref $x ne 'HASH';
    return '{' . join(',', map { $json->encode($_) . ':' . text_of($x->{$_}) } sort keys %$x) . '}';
}

# The wire.

sub is_text { my ($x) = @_; return defined $x && !ref $x && B::svref_2object(\$x)->FLAGS & B::SVp_POK }

sub is_integer {
    my ($x) = @_;
    return 0 if !defined $x;
    return "$x" =~ /^-?[0-9]+\z/ if ref $x eq 'Number';
    return !ref $x && !is_text($x);
}

sub is_natural {
    my ($x) = @_;
    return is_integer($x) && "$x" !~ /^-/
        && (length "$x" < length $HIGHEST || length "$x" == length $HIGHEST && "$x" le $HIGHEST);
}

# A ballot must leave room for the next one of each member.
sub leaves_room {
    my ($m) = @_;
    my @votes = ref $m->{accepted} eq 'ARRAY' ? @{$m->{accepted}} : ();
    return !grep { !is_natural($_) || $_ > $HIGHEST - @members }
        grep { defined } $m->{ballot}, $m->{promised}, map { $_->{ballot} } @votes;
}

sub is_deeper {
    my ($value, $levels) = @_;
    my @inside = ref $value eq 'HASH' ? values %$value : ref $value eq 'ARRAY' ? @$value : return 0;
    return $levels == 0 || grep { is_deeper($_, $levels - 1) } @inside;
}

sub init {
    my ($src, $m, $dest) = @_;
    my $names = $m->{node_ids};
    my $good = is_text($m->{node_id}) && $m->{node_id} eq $dest && ref $names eq 'ARRAY'
        && !grep({ !is_text($_) } @$names) && grep({ $_ eq $dest } @$names);
    return '' if !$good || @members && $json->encode(\@members) ne $json->encode($names);
    @members = @$names;
    %member = map { $_ => 1 } @members;
    @peers = grep { $_ ne $me } @members;
    reply($src, qq("init_ok","in_reply_to":$m->{msg_id}));
    return 1;
}

my %REQUESTS = (
    init => \&init,
    multi_paxos_propose => sub {
        my ($src, $m) = @_;
        return '' if !is_natural($m->{slot}) || !exists $m->{value}
            || is_deeper($m->{value}, $DEEPEST)
            || length text_of($m->{value}) > $VALUE_BYTES;
        receive_multi_paxos_propose($src, $m);
        return 1;
    },
    multi_paxos_log => sub {
        my ($src, $m) = @_;
        return '' if grep { defined $m->{$_} && !is_natural($m->{$_}) } qw(from limit);
        receive_multi_paxos_log($src, $m);
        return 1;
    },
);

my %BETWEEN_NODES = (
    prepare => \&receive_prepare, promise => \&receive_promise, accept => \&receive_accept,
    accepted => \&receive_accepted, rejected => \&receive_rejected, decided => \&receive_decided,
    poll => \&receive_poll, learn => \&receive_learn, learned => \&receive_learned,
);

my %EVENTS = (timeout => \&timeout, inquire => \&inquire, expire => \&expire, crash => \&crash,
              restart => \&restart);

sub take {
    my ($line) = @_;
    # What is no JSON, or no message, is dropped: nobody could be answered.
    my $given = eval { read_json($line) } // return;
    if (is_text($given)) {
        $EVENTS{$given}->() if $manual && $EVENTS{$given} && @members && $up == ($given ne 'restart');
        return;
    }
    return if ref $given ne 'HASH';
    return repeat($given->{slots}) if $manual && ($given->{event} // '') eq 'repeat';
    return if ref $given->{body} ne 'HASH';
    my ($src, $dest, $m) = @$given{qw(src dest body)};
    return if !is_text($src) || !is_text($dest) || !$up || @members && $dest ne $me;
    $me = $dest;
    my $type = is_text($m->{type}) ? $m->{type} : '';
    if ($member{$src}) {
        $BETWEEN_NODES{$type}->($src, $m) if $BETWEEN_NODES{$type} && leaves_room($m);
        return;
    }
    return if !is_integer($m->{msg_id}) || defined $m->{in_reply_to};
    if (!is_text($m->{type})) { fail($src, $m->{msg_id}, 12, 'type is not a string') }
    elsif (!$REQUESTS{$type}) { fail($src, $m->{msg_id}, 10, 'there is no such request') }
    elsif (!@members && $type ne 'init') { fail($src, $m->{msg_id}, 11, 'no init has come yet') }
    elsif (!$REQUESTS{$type}->($src, $m, $dest)) { fail($src, $m->{msg_id}, 12, 'it is malformed') }
}

# Time: a node at work repeats itself, one with nothing to do asks around, and one that was outbid
# waits at random.

my ($tick, $asked) = (0, 0);

sub pass_time {
    my $now = Time::HiRes::time();
    expire() while @waiting && $now - $waiting[0]{since} > 4;
    return if $now < $tick;
    $tick = $now + (@waiting && $ballot == 0 ? rand 0.4 : 0.1);
    if (@waiting || in_phase1() || %votes || %closed) { timeout() }
    elsif ($now > $asked + 1) { $asked = $now; inquire() }
}

my ($rest, $reads) = ('', '');
vec($reads, fileno(STDIN), 1) = 1;
while (1) {
    if ($manual || select(my $ready = $reads, undef, undef, 0.05)) {
        last if !sysread STDIN, $rest, 1 << 16, length $rest;
        take($1) while $rest =~ s/\A([^\n]*)\n//;
    }
    pass_time() if !$manual && @peers;
    STDOUT->flush;
}
take($rest) if length $rest;
