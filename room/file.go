package room

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/switchboard-go/switchboard/websocket"
)

// A FileStore is a Store in a file of JSON lines, one for each message. The messages survive any end of the program.
// A crash of the machine may lose those of the last seconds. Lines that are no longer needed are removed when the
// file is opened, and when they are most of it. Any goroutine may call its methods.
//
// Only one FileStore at a time can have a file open: it holds a lock on a file of the same name with ".lock" behind it, which is
// released when the process ends, however that comes.
type FileStore struct {
	path string
	keep int
	held *os.File // the lock

	mu    sync.Mutex
	file  *os.File
	lines int                  // in the file
	least int                  // lines after it was written anew
	found map[string]*keptRoom // read, and not asked for by Load
	ends  map[string]roomEnd   // of every room
}

// A roomEnd is what must stay known of a room without its messages.
type roomEnd struct {
	epoch string
	last  uint64
}

// A keptRoom is what the file has of a room.
type keptRoom struct {
	roomEnd
	messages []*Message
}

// A record is a line of the file. Without a Seq it begins a room, and without an Epoch it forgets it.
type record struct {
	Room  string    `json:"room"`
	Epoch string    `json:"epoch,omitempty"`
	Seq   uint64    `json:"seq,omitempty"`
	Time  time.Time `json:"time,omitzero"`
	From  string    `json:"from,omitempty"`
	Key   string    `json:"key,omitempty"`
	Kind  uint8     `json:"kind,omitempty"`
	Text  string    `json:"text,omitempty"` // of a message of text
	Data  []byte    `json:"data,omitempty"` // of another one
}

// OpenFile opens or creates a file that keeps the last messages of each room. keep is their number for each room; 0
// means 1000.
func OpenFile(path string, keep int) (*FileStore, error) {
	if keep == 0 {
		keep = 1000
	}
	held, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	taken, err := lock(held)
	if err == nil && !taken {
		err = fmt.Errorf("room: %s: another store has it open, perhaps in another process", path)
	}
	s := &FileStore{path: path, keep: keep, held: held}
	if err == nil {
		err = s.open()
	}
	if err != nil {
		held.Close()
		return nil, err
	}
	return s, nil
}

// InheritFile returns the FileStore of a file that another process has open, which hands it over with its Hub: see Hub.Take. Before
// that it keeps nothing, and Append returns an error.
func InheritFile(path string, keep int) *FileStore {
	if keep == 0 {
		keep = 1000
	}
	return &FileStore{path: path, keep: keep, ends: map[string]roomEnd{}}
}

// takeOver opens the file with the lock of the other process, which may still need it as it is.
func (s *FileStore) takeOver(held *os.File) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held != nil {
		return fmt.Errorf("room: %s: the store has it open already, and cannot take it over", s.path)
	}
	rooms, err := s.read()
	if err == nil {
		s.file, err = os.OpenFile(s.path, os.O_WRONLY|os.O_APPEND, 0)
	}
	if err != nil {
		return err
	}
	s.held, s.found, s.ends = held, rooms, map[string]roomEnd{}
	for name, r := range rooms {
		s.ends[name] = r.roomEnd
		s.lines += 1 + len(r.messages)
	}
	s.least = s.lines
	return nil
}

// open reads the file and begins it anew.
func (s *FileStore) open() error {
	rooms, err := s.read()
	if err != nil {
		return err
	}
	s.found, s.ends = rooms, map[string]roomEnd{}
	for name, r := range rooms {
		s.ends[name] = r.roomEnd
	}
	return s.rewrite(rooms)
}

// read reads the file. A last line that is cut off was never sent to anybody, and is not counted.
func (s *FileStore) read() (map[string]*keptRoom, error) {
	rooms := map[string]*keptRoom{}
	f, err := os.Open(s.path)
	if errors.Is(err, os.ErrNotExist) {
		return rooms, nil
	} else if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := bufio.NewReaderSize(f, 64<<10)
	for n := 1; ; n++ {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF {
			return rooms, nil
		} else if err != nil {
			return nil, err
		}
		var rec record
		if err := json.Unmarshal(line, &rec); err != nil || rec.Room == "" {
			return nil, fmt.Errorf("room: %s, line %d: this is not a history: %.40q", s.path, n, line)
		}
		if !s.take(rooms, rec) {
			return nil, fmt.Errorf("room: %s, line %d: number %d does not follow the message before it in %.40q: lines are missing, or double", s.path, n, rec.Seq, rec.Room)
		}
	}
}

// take adds a line, and tells whether it can be the next.
func (s *FileStore) take(rooms map[string]*keptRoom, rec record) bool {
	r := rooms[rec.Room]
	switch {
	case rec.Seq == 0 && rec.Epoch == "":
		delete(rooms, rec.Room)
	case r == nil || rec.Epoch != "":
		rooms[rec.Room] = &keptRoom{roomEnd: roomEnd{rec.Epoch, rec.Seq}}
	case rec.Seq != r.last+1:
		return false
	default:
		m := &Message{Room: rec.Room, Seq: rec.Seq, Time: rec.Time, From: rec.From, Key: rec.Key, Kind: websocket.Kind(rec.Kind), Data: rec.Data}
		if m.Data == nil {
			m.Data = []byte(rec.Text)
		}
		r.last = rec.Seq
		r.messages = append(r.messages, m)
		if len(r.messages) >= 2*s.keep {
			r.messages = append(r.messages[:0:0], r.messages[len(r.messages)-s.keep:]...)
		}
	}
	return true
}

// rewrite has the file hold these rooms, and nothing else.
func (s *FileStore) rewrite(rooms map[string]*keptRoom) error {
	next, err := os.OpenFile(s.path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	lines := 0
	w := bufio.NewWriter(next)
	for name, r := range rooms {
		messages := r.messages[max(0, len(r.messages)-s.keep):]
		first := r.last - uint64(len(messages))
		w.Write(encode(record{Room: name, Epoch: r.epoch, Seq: first}))
		for _, m := range messages {
			w.Write(encode(recordOf(m)))
		}
		lines += 1 + len(messages)
	}
	err = errors.Join(w.Flush(), next.Sync())
	if err == nil {
		if s.file != nil {
			s.file.Close() // Windows renames no file onto an open one
			s.file = nil
		}
		next.Close()
		if err = os.Rename(s.path+".new", s.path); err == nil {
			s.file, err = os.OpenFile(s.path, os.O_WRONLY|os.O_APPEND, 0)
		}
	} else {
		next.Close()
	}
	s.lines, s.least = lines, lines
	return err
}

func recordOf(m *Message) record {
	rec := record{Room: m.Room, Seq: m.Seq, Time: m.Time, From: m.From, Key: m.Key, Kind: uint8(m.Kind)}
	if m.Kind == websocket.Binary || !utf8.Valid(m.Data) {
		rec.Data = m.Data
	} else {
		rec.Text = string(m.Data)
	}
	return rec
}

func encode(rec record) []byte {
	var b bytes.Buffer
	json.NewEncoder(&b).Encode(rec) // of strings, bytes and numbers
	return b.Bytes()
}

// Load implements Store.
func (s *FileStore) Load(room string, most History) (string, uint64, []*Message, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.found[room]
	if r == nil {
		return s.ends[room].epoch, s.ends[room].last, nil, nil
	}
	delete(s.found, room)
	return r.epoch, r.last, r.messages[max(0, len(r.messages)-most.Messages):], nil
}

// Begin implements Store.
func (s *FileStore) Begin(room, epoch string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ends[room] = roomEnd{epoch, 0}
	return s.append(record{Room: room, Epoch: epoch})
}

// Append implements Store.
func (s *FileStore) Append(m *Message) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.append(recordOf(m)); err != nil {
		return err
	}
	s.ends[m.Room] = roomEnd{s.ends[m.Room].epoch, m.Seq}
	if s.lines > 2*s.least+4*s.keep {
		rooms, err := s.read()
		if err == nil {
			err = s.rewrite(rooms)
		}
		if err != nil { // m is kept all the same, and so is what comes if the file is open
			s.least = s.lines
		}
	}
	return nil
}

// append writes one line with one call, so that a process which is killed leaves whole lines.
func (s *FileStore) append(rec record) error {
	if s.file == nil {
		return os.ErrClosed
	}
	line := encode(rec)
	if n, err := s.file.Write(line); err != nil {
		if n > 0 { // what is cut off would spoil the next line
			if info, bad := s.file.Stat(); bad == nil {
				s.file.Truncate(info.Size() - int64(n))
			}
		}
		return err
	}
	s.lines++
	return nil
}

// Forget implements Store.
func (s *FileStore) Forget(room string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.ends, room)
	delete(s.found, room)
	s.append(record{Room: room}) // without it the room comes back, which is no harm
}

// Close closes the file. Publishing fails after it.
func (s *FileStore) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held != nil {
		defer s.held.Close()
	}
	if s.file == nil {
		return nil
	}
	f := s.file
	s.file = nil
	return errors.Join(f.Sync(), f.Close())
}
