// Checks signed notes and RFC 6962 proofs with golang.org/x/mod/sumdb, which shares no code with what made them.
// Reads one JSON document from standard input, answers with one line "ok <checks>" or ends with status 1.
package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type inclusion struct {
	Record string   `json:"record"`
	Index  int64    `json:"index"`
	Note   int      `json:"note"`
	Path   []string `json:"path"`
}

type consistency struct {
	Older int      `json:"older"`
	Newer int      `json:"newer"`
	Path  []string `json:"path"`
}

type document struct {
	Key         string        `json:"key"`
	Notes       []string      `json:"notes"`
	Inclusion   []inclusion   `json:"inclusion"`
	Consistency []consistency `json:"consistency"`
	Tiles       []struct {
		Level  int      `json:"level"`
		N      int64    `json:"n"`
		Hashes []string `json:"hashes"`
	} `json:"tiles"`
}

func must(err error, what string) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", what, err)
		os.Exit(1)
	}
}

func hashOf(text string) tlog.Hash {
	raw, err := base64.RawURLEncoding.DecodeString(text)
	must(err, "hash")
	var h tlog.Hash
	if copy(h[:], raw) != tlog.HashSize || len(raw) != tlog.HashSize {
		must(fmt.Errorf("%d bytes", len(raw)), "hash")
	}
	return h
}

func path(texts []string) []tlog.Hash {
	hashes := make([]tlog.Hash, len(texts))
	for i, text := range texts {
		hashes[i] = hashOf(text)
	}
	return hashes
}

func main() {
	var doc document
	must(json.NewDecoder(os.Stdin).Decode(&doc), "input")
	verifier, err := note.NewVerifier(doc.Key)
	must(err, "key")
	heads := make([]tlog.Tree, len(doc.Notes))
	checks := 0
	for i, text := range doc.Notes {
		opened, err := note.Open([]byte(text), note.VerifierList(verifier))
		must(err, "note")
		lines := strings.Split(opened.Text, "\n")
		size, err := strconv.ParseInt(lines[1], 10, 64)
		must(err, "size")
		root, err := base64.StdEncoding.DecodeString(lines[2])
		must(err, "root")
		heads[i] = tlog.Tree{N: size}
		copy(heads[i].Hash[:], root)
		checks++
	}
	for _, each := range doc.Inclusion {
		record, err := base64.StdEncoding.DecodeString(each.Record)
		must(err, "record")
		head := heads[each.Note]
		leaf := tlog.RecordHash(record)
		must(tlog.CheckRecord(path(each.Path), head.N, head.Hash, each.Index, leaf), "inclusion")
		other := tlog.RecordHash(bytes.ToUpper(record))
		if tlog.CheckRecord(path(each.Path), head.N, head.Hash, each.Index, other) == nil {
			must(fmt.Errorf("record %d", each.Index), "a changed record is in the tree")
		}
		checks += 2
	}
	for _, each := range doc.Consistency {
		older, newer := heads[each.Older], heads[each.Newer]
		must(tlog.CheckTree(path(each.Path), newer.N, newer.Hash, older.N, older.Hash), "consistency")
		checks++
	}
	for _, each := range doc.Tiles {
		tile := tlog.Tile{H: 8, L: each.Level, N: each.N, W: len(each.Hashes)}
		data := []byte{}
		for _, hash := range path(each.Hashes) {
			data = append(data, hash[:]...)
		}
		for i, want := range path(each.Hashes) {
			index := tlog.StoredHashIndex(each.Level*8, each.N*256+int64(i))
			got, err := tlog.HashFromTile(tile, data, index)
			must(err, "tile")
			if got != want {
				must(fmt.Errorf("level %d tile %d hash %d", each.Level, each.N, i), "tile")
			}
			checks++
		}
	}
	fmt.Println("ok", checks)
}
