# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
#
# How letters get onto the pages of a PDF, where prawn and asciidoctor-pdf are slow or wrong: printed text is
# drawn line by line, other faces are looked for where a text needs them, a letter is not parted from its
# accents, and emoji can be copied.

require 'asciidoctor/pdf'

module AutoFlow
  UNSEEN = "\u00ad\u200b"
  REFERENCE = /&#(\d+);/

  # Printed text and code: asciidoctor-pdf lays out all that is left of a block again on each page.
  module Printed
    # lines that do not stand alone at the foot of a page
    TOGETHER = 3
    # points of the smallest letters, which lines are printed in that are a little too long
    SMALLEST = 6.5
    Face = Struct.new(:family, :width)

    def convert_listing(node)
      as_it_is?(node) ? ink_printed(node) : super
    end

    def convert_literal(node)
      as_it_is?(node) ? ink_printed(node) : super
    end

    private

    def as_it_is?(node)
      node.subs.empty? && !node.title? && !node.document.nested?
    end

    def ink_printed(node)
      add_dest_for_block(node) if node.id
      text = node.content.gsub(REFERENCE) { $1.to_i.chr('UTF-8') }
      top, right, bottom, left = expand_padding_value(@theme.code_padding)
      theme_font(:code) do
        room = bounds.width - left - right
        lines = text.delete(UNSEEN).split("\n", -1)
        font_size(size_for(lines, room)) do
          faces = faces_of_letters
          ink_pages(lines.flat_map { |line| folded(line, room, faces) }, [top, bottom, left], faces)
        end
      end
      theme_margin(:block, :bottom, next_enclosed_block(node))
    end

    # Choose smaller letters where all lines fit then.
    def size_for(lines, room)
      widest = (lines.map(&:length).max || 0) * width_of('W')
      fitting = font_size * room / [widest, room].max
      fitting < SMALLEST ? font_size : fitting
    end

    def ink_pages(lines, padding, faces)
      height = calc_line_metrics(@base_line_height).height
      until lines.empty?
        count = [((cursor - padding[0] - padding[1]) / height).floor, lines.size].min
        if count < [TOGETHER, lines.size].min && !at_page_top?
          advance_page
        else
          ink_lines(lines.shift([count, 1].max), height, padding, faces)
        end
      end
    end

    # Find for each letter the face that has it, once.
    def faces_of_letters
      own = font_family
      chooser = Prawn::Text::Formatted::Box.new([], document: self, at: [0, 0])
      Hash.new do |faces, letter|
        family = save_font { chooser.find_font_for_this_glyph(letter, own, { style: font_style }, fallback_fonts.dup) }
        width = nil
        font(family) { width = width_of(letter) }
        faces[letter] = Face.new(family, width)
      end
    end

    # Fold a line that is too long, behind a blank where it has one.
    def folded(line, room, faces)
      return [line] if line.length * faces['W'].width <= room && line.ascii_only?

      letters = line.grapheme_clusters
      widths = letters.map { |letter| letter.each_char.sum { |each| faces[each].width } }
      lines = []
      start = blank = width = 0
      letters.each_with_index do |letter, at|
        if width + widths[at] > room && letter != ' ' && at > start
          stop = blank > start ? blank : at
          lines << letters[start...stop].join
          start = stop
          width = widths[start...at].sum
        end
        width += widths[at]
        blank = at + 1 if letter == ' ' && letters[at - 1] != ' '
      end
      lines << letters[start..].join
    end

    def ink_lines(lines, height, padding, faces)
      top, bottom, left = padding
      ink_box(lines.size * height + top + bottom)
      return if scratch?

      # the box is above the cursor now
      base = cursor + bottom + lines.size * height - (height - font.ascender - font.descender) / 2 - font.ascender
      colored(@theme.code_font_color || @font_color) do
        lines.each_with_index { |line, number| ink_line(line, left, base - number * height, faces) }
      end
    end

    def colored(color)
      before = [fill_color, stroke_color]
      # that of strokes too, as prawn does: it names the space of colors where both have been changed
      fill_color(color)
      stroke_color(color)
      yield
      fill_color(before.first)
      stroke_color(before.last)
    end

    def ink_box(height)
      bounding_box([bounds.left, cursor], width: bounds.width, height: height) do
        theme_fill_and_stroke_bounds(:code, background_color: @theme.code_background_color)
      end
    end

    def ink_line(line, left, base, faces)
      return draw_text(line, at: [left, base], kerning: false) if line.ascii_only?

      line.each_char.slice_when { |one, other| faces[one].family != faces[other].family }.each do |letters|
        font(faces[letters.first].family) { draw_text(letters.join, at: [left, base], kerning: false) }
        left += letters.sum { |letter| faces[letter].width }
      end
    end
  end

  # Other faces are looked for where a text has letters that its own lacks: each look-up takes time.
  module Faces
    ASCII = (' '..'~').to_a.join.freeze

    def analyze_glyphs_for_fallback_font_support(fragment)
      has_all?(fragment) ? [fragment] : super
    end

    private

    def has_all?(fragment)
      styles = fragment[:styles] || []
      bold, italic = %i[bold italic].map { |style| styles.include?(style) }
      style = bold && italic ? :bold_italic : bold ? :bold : italic ? :italic : nil
      @document.save_font do
        @document.font(fragment[:font] || @document.font.family, style ? { style: style } : {})
        known = KNOWN[@document.font]
        text = fragment[:text]
        text.ascii_only? ? known[ASCII] : text.each_char.all? { |letter| known[letter] }
      end
    end

    KNOWN = Hash.new do |fonts, font|
      fonts[font] = Hash.new { |known, text| known[text] = text.each_char.all? { |letter| font.glyph_present?(letter) } }
    end.compare_by_identity
  end

  # A letter that is too far right takes its accents to the next line.
  module WholeLetters
    private

    def wrap_by_char(segment)
      segment.each_grapheme_cluster { |letter| break unless append_char(letter) }
    end
  end

  # What is beyond U+FFFF is written as UTF-16, which is how it is read when text is copied.
  module Emoji
    def to_unicode_map
      super.transform_values { |code| code > 0xFFFF ? [code].pack('U').encode('UTF-16BE').unpack1('N') : code }
    end
  end
end

Asciidoctor::PDF::Converter.prepend(AutoFlow::Printed)
Prawn::Text::Formatted::Box.prepend(AutoFlow::Faces)
Prawn::Text::Formatted::LineWrap.prepend(AutoFlow::WholeLetters)
TTFunk::Subset::Unicode.prepend(AutoFlow::Emoji)
TTFunk::Subset::Unicode8Bit.prepend(AutoFlow::Emoji)
