package history

import (
	"hash/fnv"
	"strconv"
)

// ItemDigest identifies one listed instance. The digest of a listing is the sum of its items', so
// a replay of events can maintain it without listing anything.
func ItemDigest(id string, value int, incarnation uint64, health string, changed uint64) uint64 {
	h := fnv.New64a()
	text := id + "|" + strconv.Itoa(value) + "|" + strconv.FormatUint(incarnation, 10) + "|" + health + "|" +
		strconv.FormatUint(changed, 10)
	_, _ = h.Write([]byte(text))
	return h.Sum64()
}
