package cluster

import "testing"

func TestRunsSideBySideNeverShareASubnet(t *testing.T) {
	taken := map[int]bool{}
	for n := 0; n < 3; n++ {
		subnet, claim, err := claimSubnet()
		if err != nil {
			t.Fatal(err)
		}
		defer claim.Close()
		if taken[subnet] {
			t.Fatalf("subnet %d is given twice", subnet)
		}
		taken[subnet] = true
	}
}
