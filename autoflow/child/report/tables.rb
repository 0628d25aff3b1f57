# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
#
# Tables that go on over pages whatever is in them: asciidoctor-pdf keeps the rows of a cell that spans
# several, and each single row, on one page, and cuts off what does not fit there.
#
# A span of rows becomes single cells, the first with the label, which is repeated at the top of each page;
# a row that is too tall becomes several; all rows of a head are repeated, as many as the attribute `heads` says.

require 'asciidoctor/pdf'

module AutoFlow
  TALL = 0.4
  PIECE = 0.2
  # parts of a page: a row that is taller, and what it is cut into at most

  # Copy a cell of a table, its place and its borders too.
  def self.copy(cell)
    copy = cell.dup.extend(Prawn::Table::Cell::InTable)
    %i[@point @padding @border_widths @border_colors @border_lines].each do |name|
      copy.instance_variable_set(name, cell.instance_variable_get(name).dup)
    end
    copy
  end

  # The cells that were one cell, or that stand below a cell whose row went on.
  class Group
    attr_reader :label, :cells

    def initialize(label)
      @label = label
      @cells = []
    end

    def height_from(row)
      @cells.sum { |cell| cell.row < row ? 0 : cell.height }
    end

    def remove_lines
      @cells.each_cons(2) do |above, below|
        above.border_bottom_width = 0
        below.border_top_width = 0
      end
    end
  end

  # A cell that may be a part of one, or have the label of a group.
  module Part
    attr_accessor :group, :fragments
    attr_writer :rowspan

    def blank?
      @fragments ? @fragments.empty? : @content.to_s.empty?
    end

    # Give what of the text fits into a height as a cell, and the text that is left.
    def cut(text, height)
      part = AutoFlow.copy(self)
      part.fragments = text
      left = part.send(:fit, height)
      [part, left]
    end

    # Stand at the top of a page for the group that began on another.
    def repeat
      @repeated = true
      @content = group.label
      @fragments = nil
    end

    def natural_content_height
      @fragments ? @natural_height : super
    end

    def draw_content
      return super unless @repeated || @fragments
      return if blank?

      height = @fragments ? @limit : group.height_from(row) - padding_top - padding_bottom + Prawn::Table::Cell::FPTolerance
      fitting = @repeated ? { overflow: :shrink_to_fit } : {}
      with_font do
        with_text_color do
          text_box(width: spanned_content_width + Prawn::Table::Cell::FPTolerance, height: height, at: [0, @pdf.cursor], **fitting).render
        end
      end
    end

    protected

    def text_box(extra = {})
      return super unless @fragments

      options = @text_options.reject { |name,| name == :inline_format }.merge(extra, document: @pdf)
      Prawn::Text::Formatted::Box.new(@fragments.map(&:dup), options)
    end

    private

    def fit(height)
      @limit = height
      @natural_height = 0
      return [] if @fragments.empty?

      with_font do
        box = text_box(width: spanned_content_width + Prawn::Table::Cell::FPTolerance, height: height)
        left = box.render(dry_run: true)
        @natural_height = box.height + box.line_gap
        left
      end
    end
  end

  # A table that can be cut anywhere.
  module Divisible
    def initialize(data, document, options = {}, &block)
      heads = document.instance_variable_get(:@autoflow_heads) || 0
      options = options.merge(header: heads) if options[:header] && heads > options[:header] && heads < data.size
      super(without_row_spans(data), document, options) do
        instance_eval(&block) if block
        divide if number_of_header_rows < row_length
      end
    end

    protected

    def ink_and_draw_cells_and_start_new_page(_cells, cell)
      super.tap { row(cell.row).each { |each| each.repeat if each.respond_to?(:group) && each.group && each.blank? } }
    end

    private

    def without_row_spans(data)
      open = {}
      data.map do |row|
        column = 0
        cells = []
        rest = row.dup
        until rest.empty? && open.none? { |at, _| at >= column }
          if (above = open[column])
            cells << above[:cell].dup
            open.delete(column) if (above[:rows] -= 1).zero?
          elsif rest.empty?
            break
          else
            cells << (cell = rest.shift)
            open[column] = below(cell) if span(cell) > 1
            cells[-1] = single(cell, open[column]) if span(cell) > 1
          end
          column += width_of(cells.last)
        end
        cells
      end
    end

    def span(cell)
      cell.is_a?(Hash) ? cell[:rowspan] || (cell[:content].is_a?(Prawn::Table::Cell) ? cell[:content].rowspan : 1) : 1
    end

    def width_of(cell)
      return 1 unless cell.is_a?(Hash)

      cell[:colspan] || (cell[:content].is_a?(Prawn::Table::Cell) ? cell[:content].colspan : 1)
    end

    def below(cell)
      text = cell[:content].is_a?(Prawn::Table::Cell) ? nil : cell[:content]
      blank = { content: '', colspan: width_of(cell), rowspan: 1 }
      { rows: span(cell) - 1, cell: text ? cell.merge(blank, group: Group.new(text)) : blank }
    end

    def single(cell, below)
      if cell[:content].is_a?(Prawn::Table::Cell)
        cell[:content].instance_variable_set(:@rowspan, 1)
        return cell
      end
      cell.merge(rowspan: 1, group: below[:cell][:group])
    end

    def divide
      set_column_widths
      divide_tall_rows
      heads = number_of_header_rows
      lower_line_of_head(heads) if heads > 1
      groups = {}
      cells.each do |cell|
        next unless cell.respond_to?(:group) && cell.group

        groups[cell.group] = true
        cell.group.cells << cell
      end
      groups.each_key(&:remove_lines)
    end

    def lower_line_of_head(heads)
      widths = row(0).map { |cell| cell.border_bottom_width }
      colors = row(0).map { |cell| cell.border_bottom_color }
      return if heads >= row_length

      row(heads - 1).each { |cell| cell.border_bottom_color = colors.first }
      row(heads - 1).border_bottom_width = widths.max
      row(heads).each { |cell| cell.border_top_color = colors.first }
      row(heads).border_top_width = widths.max
      row(0).border_bottom_width = 0
      row(1).border_top_width = 0
    end

    def divide_tall_rows
      heads = number_of_header_rows
      room = @pdf.reference_bounds.height - row_heights.first(heads).sum
      tall = row_heights.each_index.select { |number| number >= heads && row_heights[number] > TALL * room }
      return if tall.empty?

      fresh = Prawn::Table::Cells.new
      length = 0
      cells.group_by(&:row).sort.each do |number, line|
        (tall.include?(number) ? lines_of(line, PIECE * room) : [line]).each do |part|
          part.each { |cell| fresh[length, cell.column] = cell }
          length += 1
        end
      end
      @cells = fresh
      @row_length = length
      @natural_row_heights = nil
    end

    # Cut a row into several.
    def lines_of(line, height)
      dummies, masters = line.partition { |cell| cell.is_a?(Prawn::Table::Cell::SpanDummy) }
      parts = masters.map { |cell| parts_of(cell, height) }
      count = parts.map(&:size).max
      return [line] if count < 2

      (0...count).map do |index|
        masters.zip(parts).flat_map do |cell, own|
          part = own[index] || nothing_below(cell, own)
          part.background_color ||= @row_colors.last if defined?(@row_colors) && @row_colors
          part.border_top_width = part.padding_top = 0 if index.positive?
          part.border_bottom_width = part.padding_bottom = 0 if index < count - 1
          [part, *with_dummies(part, cell, dummies)]
        end
      end
    end

    def parts_of(cell, height)
      return [cell] unless cell.is_a?(Part) && cell.is_a?(Prawn::Table::Cell::Text)

      left = cell.send(:with_font) { @pdf.text_formatter.format(cell.content.to_s, *formatting_of(cell)) }
      parts = []
      loop do
        part, rest = cell.cut(left, height - cell.padding_top - cell.padding_bottom)
        parts << part
        # nothing fits: as it is
        return [cell] if rest == left && !rest.empty?

        left = rest
        return parts if left.empty?
      end
    end

    def formatting_of(cell)
      cell.inline_format.is_a?(Array) ? cell.inline_format : []
    end

    def nothing_below(cell, own)
      blank = AutoFlow.copy(cell)
      return blank unless blank.is_a?(Prawn::Table::Cell::Text)

      # what names the row, on the left
      if cell.column.zero? && !cell.group
        group = Group.new(cell.content)
        own.first.group = blank.group = group
      end
      blank.cut([], 0).first
    end

    def with_dummies(part, cell, dummies)
      own = dummies.select { |each| cell.dummy_cells.include?(each) }
      return own if part.equal?(cell)

      copies = own.map do |each|
        copy = AutoFlow.copy(each)
        copy.instance_variable_set(:@master_cell, part)
        copy
      end
      part.instance_variable_set(:@dummy_cells, copies)
      copies
    end
  end

  # What a table's own attributes say, for the table that is drawn.
  module Converting
    def convert_table(node)
      before = @autoflow_heads
      @autoflow_heads = (node.attr 'heads').to_i
      super
    ensure
      @autoflow_heads = before
    end
  end
end

Prawn::Table::Cell::Text.prepend(AutoFlow::Part)
Prawn::Table.prepend(AutoFlow::Divisible)
Asciidoctor::PDF::Converter.prepend(AutoFlow::Converting)
