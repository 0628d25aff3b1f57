# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
#
# A process that has loaded asciidoctor-pdf, and forks one process for each conversion: to load it takes
# longer than to make the pages of a short report.
#
#   ruby warm_asciidoctor.rb PROGRAM PARENT
#
# PROGRAM is asciidoctor-pdf itself, PARENT the process without which this one ends. Standard input is a
# socket over which others come; `autoflow.child.asciidoctor` has their far ends. Each message there is a
# JSON object with "arguments" and "messages", the file for what the program prints. It is answered twice:
# with the id of the process that has begun, and with its exit code. Where the far end is closed, it is not wanted any more.

require 'fiddle'
require 'json'
require 'socket'

PROGRAM = ARGV.fetch(0)
LONGEST_MESSAGE = 1 << 20
PR_SET_PDEATHSIG = 1
OOM_SCORE = '/proc/self/oom_score_adj'
# where memory runs out this process goes first, before any kernel: programs that are started do its work then
FIRST_TO_GO = '1000'

def die_with_parent(parent)
  types = [Fiddle::TYPE_INT, *[Fiddle::TYPE_LONG] * 4]
  prctl = Fiddle::Function.new(Fiddle::Handle::DEFAULT['prctl'], types, Fiddle::TYPE_INT)
  prctl.call(PR_SET_PDEATHSIG, Signal.list.fetch('KILL'), 0, 0, 0)
  exit!(1) if Process.ppid != parent
end

def oom_score=(score)
  File.write(OOM_SCORE, score)
rescue SystemCallError
  # it goes in its turn then
end

# Be the program, in a forked process.
def convert(request)
  messages = File.open(request.fetch('messages'), 'a')
  [$stdout, $stderr].each { |stream| stream.reopen(messages) }
  ARGV.replace(request.fetch('arguments'))
  load PROGRAM
end

def receive(line)
  line.recv(LONGEST_MESSAGE) || ''
rescue Errno::ECONNRESET
  ''
end

def answer(line, text)
  line.send(text.to_s, 0)
rescue SystemCallError
  # no one is connected any more
end

die_with_parent(Integer(ARGV.fetch(1)))
require 'asciidoctor/pdf'
require 'asciidoctor/cli'
# a garbage collection would copy the memory that all forks share
GC.start

own = Process.pid
usual_score = File.read(OOM_SCORE)
self.oom_score = FIRST_TO_GO
callers = UNIXSocket.for_fd($stdin.fileno)
lines = []
running = {}
woken, wake = IO.pipe
trap('CHLD') { wake.write_nonblock('.', exception: false) }

loop do
  ready, = IO.select([woken, callers, *lines])
  if ready.delete(woken)
    woken.read_nonblock(4096, exception: false)
    running.delete_if do |pid, line|
      _, status = Process.wait2(pid, Process::WNOHANG)
      answer(line, status.exitstatus || -status.termsig) if status
      line.close if status && !lines.include?(line)
      status
    end
  end
  if ready.delete(callers)
    begin
      lines << callers.recv_io(Socket)
    rescue EOFError, SocketError, SystemCallError
      exit!(0)
    end
  end
  ready.each do |line|
    message = receive(line)
    if message.empty?
      running.each { |pid, caller| Process.kill(:KILL, pid) if caller.equal?(line) }
      # what was killed is reaped later, without an answer
      lines.delete(line)
      line.close unless running.value?(line)
      next
    end
    pid = fork do
      trap('CHLD', 'DEFAULT')
      [woken, wake, *lines].each(&:close)
      $stdin.reopen(File::NULL)
      die_with_parent(own)
      # a conversion in progress is worth more, and ends with its parent anyway
      self.oom_score = usual_score
      convert(JSON.parse(message))
    end
    running[pid] = line
    answer(line, pid)
  end
end
