package report

import (
	"bytes"
	"fmt"
	"image/color"
	"io"
	"math"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// A Curve is one line of a figure.
type Curve struct {
	Name   string
	Points plotter.XYs
	Dots   bool // a dot at every point
}

// A Figure is a picture of curves over one scale.
type Figure struct {
	Title, X, Y    string
	LogX, LogY     bool
	XTicks, YTicks plot.Ticker // nil: the plotter's own
	Curves         []Curve
	Bare           bool // no legend: there is only one curve
}

// palette has colours that the colour-blind can tell apart (Okabe and Ito 2008).
var palette = []color.Color{
	color.RGBA{0, 114, 178, 255}, color.RGBA{213, 94, 0, 255}, color.RGBA{0, 158, 115, 255}, color.RGBA{204, 121, 167, 255},
	color.RGBA{230, 159, 0, 255}, color.RGBA{86, 180, 233, 255}, color.RGBA{80, 80, 80, 255}, color.RGBA{150, 120, 60, 255},
	color.RGBA{120, 94, 240, 255},
}

var (
	ink  = color.RGBA{60, 60, 67, 255}
	pale = color.RGBA{226, 228, 232, 255}
)

// A drawing is a figure on its way to paper.
type drawing struct {
	*plot.Plot
	legend plot.Legend
	bare   bool
}

// drawing makes the picture, nil if no curve has a point that can be drawn.
func (f Figure) drawing() (*drawing, error) {
	p := plot.New()
	p.BackgroundColor = color.White
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = f.Title, f.X, f.Y
	p.Title.TextStyle.Font = font.Font{Variant: "Sans", Size: 13}
	p.Title.TextStyle.Color = ink
	p.Title.Padding = 6
	d := &drawing{Plot: p, legend: plot.NewLegend(), bare: f.Bare}
	d.legend.TextStyle.Font = font.Font{Variant: "Sans", Size: 10}
	d.legend.TextStyle.Color = ink
	d.legend.Top, d.legend.Left = true, true
	d.legend.Padding, d.legend.ThumbnailWidth = 3, 16
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.Label.TextStyle.Font = font.Font{Variant: "Sans", Size: 10}
		a.Tick.Label.Font = font.Font{Variant: "Sans", Size: 9}
		a.Label.TextStyle.Color, a.Tick.Label.Color, a.Color, a.Tick.Color = ink, ink, ink, ink
		a.LineStyle.Width, a.Tick.LineStyle.Width = 0.6, 0.6
		a.Padding = 0
	}
	grid := plotter.NewGrid()
	grid.Horizontal.Color, grid.Vertical.Color = pale, pale
	grid.Horizontal.Width, grid.Vertical.Width = 0.6, 0.6
	p.Add(grid)
	drawn := 0
	for i, c := range f.Curves {
		points := f.drawable(c.Points)
		if len(points) == 0 {
			continue
		}
		drawn++
		line, dots, err := plotter.NewLinePoints(points)
		if err != nil {
			return nil, err
		}
		line.Color, line.Width = palette[i%len(palette)], 1.8
		if i >= len(palette) {
			line.Dashes = []vg.Length{5, 3}
		}
		dots.Color, dots.Radius, dots.Shape = line.Color, 2.6, draw.CircleGlyph{}
		p.Add(line)
		if c.Dots || len(points) == 1 {
			p.Add(dots)
		}
		d.legend.Add(c.Name, line)
	}
	if drawn == 0 {
		return nil, nil
	}
	f.scale(p)
	return d, nil
}

const legendWidth = 106

// draw puts the plot on a canvas, and the legend beside it, where it hides nothing.
func (d *drawing) draw(c draw.Canvas) {
	const gap = 8
	c = draw.Crop(c, gap, -gap, gap, -gap)
	if !d.bare {
		d.legend.Draw(draw.Crop(c, c.Size().X-legendWidth, 0, 0, -22)) // as far down as the title is high
		c = draw.Crop(c, 0, -legendWidth-gap, 0, 0)
	}
	d.Plot.Draw(c)
}

// drawable leaves out what a logarithm cannot show.
func (f Figure) drawable(points plotter.XYs) (good plotter.XYs) {
	for _, p := range points {
		if (!f.LogX || p.X > 0) && (!f.LogY || p.Y > 0) && !math.IsNaN(p.X+p.Y) && !math.IsInf(p.X+p.Y, 0) {
			good = append(good, p)
		}
	}
	return good
}

func (f Figure) scale(p *plot.Plot) {
	p.X.Tick.Marker, p.Y.Tick.Marker = ticks(p.X.Tick.Marker, f.XTicks), ticks(p.Y.Tick.Marker, f.YTicks)
	if p.X.Min == p.X.Max {
		p.X.Max++
	}
	if f.LogX {
		p.X.Scale = plot.LogScale{}
	}
	if f.LogY {
		p.Y.Scale = plot.LogScale{}
		p.Y.Min, p.Y.Max = p.Y.Min/1.15, p.Y.Max*1.3
	} else {
		p.Y.Min, p.Y.Max = 0, p.Y.Max*1.15
		if p.Y.Max == 0 {
			p.Y.Max = 1
		}
	}
}

func ticks(own, wanted plot.Ticker) plot.Ticker {
	if wanted != nil {
		return wanted
	}
	return own
}

// A Sheet is figures beside and below each other.
type Sheet struct {
	Columns       int
	Width, Height vg.Length // of one figure, in points
	Figures       []Figure
}

// SVG draws the sheet and returns the element to stand in a page. Figures with nothing to show are left out; it is empty
// if that is all of them.
func (s Sheet) SVG() (string, error) {
	var drawings []*drawing
	for _, f := range s.Figures {
		d, err := f.drawing()
		if err != nil {
			return "", fmt.Errorf("drawing %q: %w", f.Title, err)
		}
		if d != nil {
			drawings = append(drawings, d)
		}
	}
	if len(drawings) == 0 {
		return "", nil
	}
	columns := min(s.Columns, len(drawings))
	rows := (len(drawings) + columns - 1) / columns
	width, height := s.Width*vg.Length(columns), s.Height*vg.Length(rows)
	canvas := vgsvg.New(width, height)
	whole := draw.New(canvas)
	whole.SetColor(color.White)
	whole.Fill(whole.Rectangle.Path())
	for i, d := range drawings {
		x, y := s.Width*vg.Length(i%columns), s.Height*vg.Length(rows-1-i/columns)
		d.draw(draw.Crop(whole, x, x+s.Width-width, y, y+s.Height-height))
	}
	var out bytes.Buffer
	if _, err := canvas.WriteTo(&out); err != nil {
		return "", err
	}
	_, element, ok := bytes.Cut(out.Bytes(), []byte("<svg"))
	if !ok {
		return "", io.ErrUnexpectedEOF
	}
	// Whoever looks at it may not have the font.
	return "<svg" + strings.ReplaceAll(string(element), "font-family:Liberation Sans", "font-family:Liberation Sans,Arial,sans-serif"), nil
}
