-- So many requests in one write, and again when all are answered: wrk … -s pipeline.lua URL -- DEPTH
local requests

init = function(arguments)
   local each = {}
   for n = 1, tonumber(arguments[1]) do
      each[n] = wrk.format("GET", "/")
   end
   requests = table.concat(each)
end

request = function()
   return requests
end
